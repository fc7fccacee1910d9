CREATE TABLE "role_bindings" (
	"workspace_group" text NOT NULL,
	"name" text NOT NULL,
	"subject" text,
	"group_claim" text,
	"role" text NOT NULL,
	"applications" text[],
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "role_bindings_workspace_group_name_pk" PRIMARY KEY("workspace_group","name"),
	CONSTRAINT "role_bindings_one_principal" CHECK (num_nonnulls("role_bindings"."subject", "role_bindings"."group_claim") = 1)
);
--> statement-breakpoint
CREATE TABLE "deleted_app_services" (
	"workspace_group" text NOT NULL,
	"name" text NOT NULL,
	"last_revision" integer NOT NULL,
	"deleted_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "deleted_app_services_workspace_group_name_pk" PRIMARY KEY("workspace_group","name")
);
--> statement-breakpoint
CREATE TABLE "revision_drafts" (
	"workspace_group" text NOT NULL,
	"service" text NOT NULL,
	"spec" jsonb NOT NULL,
	"base" integer,
	"created_by" text NOT NULL,
	"updated_by" text NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "revision_drafts_workspace_group_service_pk" PRIMARY KEY("workspace_group","service")
);
--> statement-breakpoint
CREATE TABLE "pod_reports" (
	"id" text PRIMARY KEY NOT NULL,
	"order_id" text NOT NULL,
	"namespace" text NOT NULL,
	"pod" text NOT NULL,
	"question" jsonb NOT NULL,
	"answer" jsonb,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "audit_records" ADD COLUMN "workspace_group" text;--> statement-breakpoint
ALTER TABLE "locks" ADD COLUMN "taken_from" text;--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "supersedes" text;--> statement-breakpoint
ALTER TABLE "pipelines" ADD COLUMN "generation" integer;--> statement-breakpoint
ALTER TABLE "pipelines" ADD COLUMN "rollback" jsonb;--> statement-breakpoint
ALTER TABLE "task_pods" ADD COLUMN "change" text;--> statement-breakpoint
ALTER TABLE "task_pods" ADD COLUMN "why" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "turn" text;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN "changed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "role_bindings" ADD CONSTRAINT "role_bindings_workspace_group_workspace_groups_name_fk" FOREIGN KEY ("workspace_group") REFERENCES "public"."workspace_groups"("name") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "deleted_app_services" ADD CONSTRAINT "deleted_app_services_workspace_group_workspace_groups_name_fk" FOREIGN KEY ("workspace_group") REFERENCES "public"."workspace_groups"("name") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "revision_drafts" ADD CONSTRAINT "revision_drafts_service_fk" FOREIGN KEY ("workspace_group","service") REFERENCES "public"."app_services"("workspace_group","name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pod_reports" ADD CONSTRAINT "pod_reports_order_id_orders_id_fk" FOREIGN KEY ("order_id") REFERENCES "public"."orders"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "role_bindings_by_subject" ON "role_bindings" USING btree ("subject");--> statement-breakpoint
CREATE INDEX "role_bindings_by_group_claim" ON "role_bindings" USING btree ("group_claim");--> statement-breakpoint
CREATE INDEX "pod_reports_by_age" ON "pod_reports" USING btree ("created_at");--> statement-breakpoint
ALTER TABLE "locks" ADD CONSTRAINT "locks_taken_from_orders_id_fk" FOREIGN KEY ("taken_from") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_supersedes_orders_id_fk" FOREIGN KEY ("supersedes") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audit_records_by_group" ON "audit_records" USING btree ("workspace_group","id");--> statement-breakpoint
CREATE INDEX "audit_records_by_time" ON "audit_records" USING btree ("at");--> statement-breakpoint
CREATE INDEX "idempotency_keys_by_time" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "order_events_succeeded" ON "order_events" USING btree ("stream") WHERE "order_events"."event"->>'type' = 'pipelineChanged' and "order_events"."event"->>'state' = 'SUCCEEDED';