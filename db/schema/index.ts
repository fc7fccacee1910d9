export * from "./access.ts";
export * from "./catalogue.ts";
export * from "./orders.ts";
export * from "./reports.ts";
