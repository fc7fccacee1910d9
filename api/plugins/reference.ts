import swaggerUi from "@fastify/swagger-ui";
import fp from "fastify-plugin";

const PREFIX = "/docs";

/**
 * What the page may do: load what this server serves, and call this server. Styles are also set inline by its library;
 * scripts are not. Nothing is loaded from elsewhere, so that it works on machines without Internet.
 */
const CONTENT_SECURITY = {
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self' 'unsafe-inline'",
  "img-src": "'self' data:",
  "connect-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
  "frame-ancestors": "'none'",
};

/**
 * Says of the page's routes that they are public, which its library cannot do for them. Must be registered before the
 * plugin that refuses routes which do not say it.
 */
export const referenceAccess = fp(
  (app, _options, done) => {
    app.addHook("onRoute", (route) => {
      if (route.url === PREFIX || route.url.startsWith(`${PREFIX}/`)) {
        route.config = { ...route.config, permission: "public" };
      }
    });
    done();
  },
  { name: "reference-access", fastify: "5.x" },
);

/** A page to read the API in the browser, and to try it, at `/docs`: made of the OpenAPI document. */
export const reference = fp(
  async (app) => {
    await app.register(swaggerUi, {
      routePrefix: PREFIX,
      staticCSP: CONTENT_SECURITY,
      theme: { title: "Cellwright: reference of the API" },
      uiConfig: {
        // Without the library's own head and logo.
        layout: "BaseLayout",
        // Sent to nobody for validation.
        validatorUrl: null,
        deepLinking: true,
        docExpansion: "list",
        defaultModelsExpandDepth: 0,
        displayOperationId: true,
        displayRequestDuration: true,
        filter: true,
        tryItOutEnabled: false,
      },
    });
  },
  { name: "reference", fastify: "5.x", dependencies: ["openapi", "auth", "reference-access"] },
);
