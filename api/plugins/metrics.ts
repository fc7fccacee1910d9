import fp from "fastify-plugin";

interface Series {
  count: number;
  seconds: number;
}

/** Counts requests by method, route and status, for Prometheus at `/metrics`. */
export const metrics = fp(
  (app, _options, done) => {
    const requests = new Map<string, Series>();
    app.addHook("onResponse", (request, reply, next) => {
      // The route's pattern, never the path: names in paths would make endless series.
      const route = request.routeOptions.url ?? "unmatched";
      const labels = `method="${request.method}",route="${route}",status="${reply.statusCode}"`;
      const series = requests.get(labels) ?? { count: 0, seconds: 0 };
      series.count += 1;
      series.seconds += reply.elapsedTime / 1000;
      requests.set(labels, series);
      next();
    });
    app.get(
      "/metrics",
      { config: { permission: "public" }, schema: { hide: true }, logLevel: "warn" },
      (_request, reply) => reply.type("text/plain; version=0.0.4; charset=utf-8").send(exposition(requests)),
    );
    done();
  },
  { name: "metrics", fastify: "5.x", dependencies: ["auth", "openapi"] },
);

function exposition(requests: ReadonlyMap<string, Series>): string {
  const sorted = [...requests].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return [
    "# HELP cellwright_http_requests_total Requests answered.",
    "# TYPE cellwright_http_requests_total counter",
    ...sorted.map(([labels, { count }]) => `cellwright_http_requests_total{${labels}} ${count}`),
    "# HELP cellwright_http_request_seconds_total Time spent on answering them.",
    "# TYPE cellwright_http_request_seconds_total counter",
    ...sorted.map(([labels, { seconds }]) => `cellwright_http_request_seconds_total{${labels}} ${seconds.toFixed(6)}`),
    "# HELP process_uptime_seconds Age of the process.",
    "# TYPE process_uptime_seconds gauge",
    `process_uptime_seconds ${process.uptime().toFixed(3)}`,
    "# HELP process_resident_memory_bytes Memory that the process holds.",
    "# TYPE process_resident_memory_bytes gauge",
    `process_resident_memory_bytes ${process.memoryUsage.rss()}`,
    "",
  ].join("\n");
}
