CREATE TABLE "audit_records" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_records_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text,
	"method" text NOT NULL,
	"resource" text NOT NULL,
	"source_ip" text NOT NULL,
	"request_id" text NOT NULL,
	"idempotency_key" text,
	"status" integer NOT NULL,
	"problem" text
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"subject" text NOT NULL,
	"route" text NOT NULL,
	"key" text NOT NULL,
	"body_hash" text NOT NULL,
	"status" integer,
	"body" jsonb,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_subject_route_key_pk" PRIMARY KEY("subject","route","key")
);
--> statement-breakpoint
CREATE TABLE "app_services" (
	"workspace_group" text NOT NULL,
	"name" text NOT NULL,
	"application" text NOT NULL,
	"namespace" text NOT NULL,
	"kind" text NOT NULL,
	"description" text,
	"last_revision" integer DEFAULT 0 NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "app_services_workspace_group_name_pk" PRIMARY KEY("workspace_group","name")
);
--> statement-breakpoint
CREATE TABLE "applications" (
	"workspace_group" text NOT NULL,
	"name" text NOT NULL,
	"owner" text NOT NULL,
	"description" text,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "applications_workspace_group_name_pk" PRIMARY KEY("workspace_group","name")
);
--> statement-breakpoint
CREATE TABLE "cells" (
	"workspace_group" text NOT NULL,
	"name" text NOT NULL,
	"workspace" text NOT NULL,
	"zone" text NOT NULL,
	"az" text NOT NULL,
	"cluster" text NOT NULL,
	"node_selector" jsonb NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "cells_workspace_group_name_pk" PRIMARY KEY("workspace_group","name")
);
--> statement-breakpoint
CREATE TABLE "clusters" (
	"name" text PRIMARY KEY NOT NULL,
	"access" text NOT NULL,
	"server" text NOT NULL,
	"fingerprint" text NOT NULL,
	"kubeconfig" "bytea" NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "revision_cells" (
	"workspace_group" text NOT NULL,
	"service" text NOT NULL,
	"number" integer NOT NULL,
	"cell" text NOT NULL,
	CONSTRAINT "revision_cells_workspace_group_service_number_cell_pk" PRIMARY KEY("workspace_group","service","number","cell")
);
--> statement-breakpoint
CREATE TABLE "revisions" (
	"workspace_group" text NOT NULL,
	"service" text NOT NULL,
	"number" integer NOT NULL,
	"spec" jsonb NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "revisions_workspace_group_service_number_pk" PRIMARY KEY("workspace_group","service","number")
);
--> statement-breakpoint
CREATE TABLE "workspace_groups" (
	"name" text PRIMARY KEY NOT NULL,
	"description" text,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "workspaces" (
	"workspace_group" text NOT NULL,
	"name" text NOT NULL,
	"region" text NOT NULL,
	"display_name" text,
	"description" text,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "workspaces_workspace_group_name_pk" PRIMARY KEY("workspace_group","name")
);
--> statement-breakpoint
CREATE TABLE "locks" (
	"workspace_group" text NOT NULL,
	"service" text NOT NULL,
	"order_id" text NOT NULL,
	"taken_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "locks_workspace_group_service_pk" PRIMARY KEY("workspace_group","service")
);
--> statement-breakpoint
CREATE TABLE "order_events" (
	"order_id" text NOT NULL,
	"position" integer NOT NULL,
	"stream" text NOT NULL,
	"sequence" integer NOT NULL,
	"event" jsonb NOT NULL,
	"stored_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "order_events_order_id_position_pk" PRIMARY KEY("order_id","position")
);
--> statement-breakpoint
CREATE TABLE "order_revisions" (
	"order_id" text NOT NULL,
	"workspace_group" text NOT NULL,
	"service" text NOT NULL,
	"number" integer NOT NULL,
	CONSTRAINT "order_revisions_order_id_service_pk" PRIMARY KEY("order_id","service")
);
--> statement-breakpoint
CREATE TABLE "orders" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"workflow_id" text NOT NULL,
	"workspace_group" text NOT NULL,
	"title" text NOT NULL,
	"request" jsonb NOT NULL,
	"creator" text NOT NULL,
	"state" text DEFAULT 'INITIALIZING' NOT NULL,
	"reason" text,
	"allowed_actions" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"generation" integer DEFAULT 0 NOT NULL,
	"digest" text,
	"position" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"ended_at" timestamp with time zone,
	CONSTRAINT "orders_workflow_id_unique" UNIQUE("workflow_id")
);
--> statement-breakpoint
CREATE TABLE "pipelines" (
	"workflow_id" text PRIMARY KEY NOT NULL,
	"order_id" text NOT NULL,
	"subject" text,
	"state" text NOT NULL,
	"reason" text,
	"committed" boolean DEFAULT false NOT NULL,
	"events" integer DEFAULT 0 NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "snapshots" (
	"order_id" text NOT NULL,
	"generation" integer NOT NULL,
	"source" text NOT NULL,
	"observation" jsonb NOT NULL,
	"taken_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "snapshots_order_id_generation_source_pk" PRIMARY KEY("order_id","generation","source")
);
--> statement-breakpoint
CREATE TABLE "task_pods" (
	"order_id" text NOT NULL,
	"task_id" text NOT NULL,
	"pod" text NOT NULL,
	"service" text NOT NULL,
	"group_id" text NOT NULL,
	"cell" text NOT NULL,
	"cluster" text NOT NULL,
	"place" integer NOT NULL,
	"state" text DEFAULT 'NOT_UPDATED' NOT NULL,
	"reason" text,
	"epoch" bigint DEFAULT 0 NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "task_pods_order_id_task_id_pod_pk" PRIMARY KEY("order_id","task_id","pod")
);
--> statement-breakpoint
CREATE TABLE "tasks" (
	"order_id" text NOT NULL,
	"id" text NOT NULL,
	"generation" integer NOT NULL,
	"stream" text NOT NULL,
	"subject" text,
	"kind" text NOT NULL,
	"group_id" text,
	"place" integer NOT NULL,
	"definition" jsonb NOT NULL,
	"state" text DEFAULT 'WAITING' NOT NULL,
	"attempt" integer DEFAULT 0 NOT NULL,
	"reason" text,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tasks_order_id_id_pk" PRIMARY KEY("order_id","id")
);
--> statement-breakpoint
ALTER TABLE "app_services" ADD CONSTRAINT "app_services_workspace_group_workspace_groups_name_fk" FOREIGN KEY ("workspace_group") REFERENCES "public"."workspace_groups"("name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "app_services" ADD CONSTRAINT "app_services_workspace_group_application_applications_workspace_group_name_fk" FOREIGN KEY ("workspace_group","application") REFERENCES "public"."applications"("workspace_group","name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "applications" ADD CONSTRAINT "applications_workspace_group_workspace_groups_name_fk" FOREIGN KEY ("workspace_group") REFERENCES "public"."workspace_groups"("name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "cells" ADD CONSTRAINT "cells_workspace_group_workspace_groups_name_fk" FOREIGN KEY ("workspace_group") REFERENCES "public"."workspace_groups"("name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "cells" ADD CONSTRAINT "cells_cluster_clusters_name_fk" FOREIGN KEY ("cluster") REFERENCES "public"."clusters"("name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "cells" ADD CONSTRAINT "cells_workspace_group_workspace_workspaces_workspace_group_name_fk" FOREIGN KEY ("workspace_group","workspace") REFERENCES "public"."workspaces"("workspace_group","name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "revision_cells" ADD CONSTRAINT "revision_cells_revision_fk" FOREIGN KEY ("workspace_group","service","number") REFERENCES "public"."revisions"("workspace_group","service","number") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "revision_cells" ADD CONSTRAINT "revision_cells_cell_fk" FOREIGN KEY ("workspace_group","cell") REFERENCES "public"."cells"("workspace_group","name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "revisions" ADD CONSTRAINT "revisions_workspace_group_service_app_services_workspace_group_name_fk" FOREIGN KEY ("workspace_group","service") REFERENCES "public"."app_services"("workspace_group","name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "workspaces" ADD CONSTRAINT "workspaces_workspace_group_workspace_groups_name_fk" FOREIGN KEY ("workspace_group") REFERENCES "public"."workspace_groups"("name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "locks" ADD CONSTRAINT "locks_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "order_events" ADD CONSTRAINT "order_events_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "order_revisions" ADD CONSTRAINT "order_revisions_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "order_revisions" ADD CONSTRAINT "order_revisions_revision_fk" FOREIGN KEY ("workspace_group","service","number") REFERENCES "public"."revisions"("workspace_group","service","number") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_workspace_group_workspace_groups_name_fk" FOREIGN KEY ("workspace_group") REFERENCES "public"."workspace_groups"("name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pipelines" ADD CONSTRAINT "pipelines_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "snapshots" ADD CONSTRAINT "snapshots_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "task_pods" ADD CONSTRAINT "task_pods_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_records_by_resource" ON "audit_records" USING btree ("resource","id");--> statement-breakpoint
CREATE INDEX "audit_records_by_actor" ON "audit_records" USING btree ("actor","id");--> statement-breakpoint
CREATE INDEX "app_services_by_application" ON "app_services" USING btree ("workspace_group","application");--> statement-breakpoint
CREATE INDEX "cells_by_cluster" ON "cells" USING btree ("cluster");--> statement-breakpoint
CREATE INDEX "cells_by_workspace" ON "cells" USING btree ("workspace_group","workspace");--> statement-breakpoint
CREATE INDEX "revision_cells_by_cell" ON "revision_cells" USING btree ("workspace_group","cell");--> statement-breakpoint
CREATE INDEX "locks_of_order" ON "locks" USING btree ("order_id");--> statement-breakpoint
CREATE UNIQUE INDEX "order_events_stream" ON "order_events" USING btree ("stream","sequence");--> statement-breakpoint
CREATE INDEX "order_revisions_by_revision" ON "order_revisions" USING btree ("workspace_group","service","number");--> statement-breakpoint
CREATE INDEX "orders_newest" ON "orders" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "orders_open" ON "orders" USING btree ("state") WHERE "orders"."ended_at" is null;--> statement-breakpoint
CREATE INDEX "pipelines_of_order" ON "pipelines" USING btree ("order_id");--> statement-breakpoint
CREATE INDEX "pipelines_by_subject" ON "pipelines" USING btree ("subject","state");--> statement-breakpoint
CREATE INDEX "tasks_of_stream" ON "tasks" USING btree ("stream","generation");