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
ALTER TABLE "locks" ADD COLUMN "taken_from" text;--> statement-breakpoint
ALTER TABLE "orders" ADD COLUMN "supersedes" text;--> statement-breakpoint
ALTER TABLE "pipelines" ADD COLUMN "generation" integer;--> statement-breakpoint
ALTER TABLE "pipelines" ADD COLUMN "rollback" jsonb;--> statement-breakpoint
ALTER TABLE "task_pods" ADD COLUMN "change" text;--> statement-breakpoint
ALTER TABLE "task_pods" ADD COLUMN "why" text;--> statement-breakpoint
ALTER TABLE "deleted_app_services" ADD CONSTRAINT "deleted_app_services_workspace_group_workspace_groups_name_fk" FOREIGN KEY ("workspace_group") REFERENCES "public"."workspace_groups"("name") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "revision_drafts" ADD CONSTRAINT "revision_drafts_service_fk" FOREIGN KEY ("workspace_group","service") REFERENCES "public"."app_services"("workspace_group","name") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "locks" ADD CONSTRAINT "locks_taken_from_orders_id_fk" FOREIGN KEY ("taken_from") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "orders" ADD CONSTRAINT "orders_supersedes_orders_id_fk" FOREIGN KEY ("supersedes") REFERENCES "public"."orders"("id") ON DELETE restrict ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "order_events_succeeded" ON "order_events" USING btree ("stream") WHERE "order_events"."event"->>'type' = 'pipelineChanged' and "order_events"."event"->>'state' = 'SUCCEEDED';