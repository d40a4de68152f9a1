import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifySchema } from 'fastify';
import type { RouteScope } from '../principal.js';
import { errorResponses } from '../schemas.js';
import { DOCUMENTATION_POLICY } from '../securityHeaders.js';
import type { Api, ApiServices } from '../services.js';

const DESCRIPTION = `Runs Python functions. Register one, execute it with arguments, fetch the result.

Payloads are base64 (Python's \`codecs.encode(data, "base64")\`) of \`dill.dumps(...)\`; results load with \`dill.loads(...)\`.
Every error answers \`{detail, code, remedy}\`. A task id means that the task is durable. A 503 means that nobody knows: ask again.`;

const DOCS = '/docs';

/** Before any route is added: collects their schemas, and serves the pages that show them, from files of this machine. */
export async function documentation(app: Api, version: string): Promise<void> {
  await app.register(swagger, {
    transform: ({ schema, url, route }) => ({ schema: withScope(schema, route.config?.scope), url }),
    openapi: {
      components: { securitySchemes: SECURITY_SCHEMES },
      openapi: '3.1.0',
      info: { title: 'MPCSFaaS', version, description: DESCRIPTION, license: { name: 'MIT', identifier: 'MIT' } },
      tags: [
        { name: 'course', description: 'The API of the course: one function, one task' },
        { name: 'tasks', description: 'Many tasks at once, and all about one' },
        { name: 'groups', description: 'Tasks that belong together: progress, results as they come' },
        { name: 'functions', description: 'Registered functions' },
        { name: 'operations', description: 'Workers and health' },
        { name: 'keys', description: 'API keys: who may do what' },
      ],
    },
  });
  // Its routes declare nothing of themselves; the pages hold nothing that is secret.
  app.addHook('onRoute', (route) => {
    if (route.url === DOCS || route.url.startsWith(`${DOCS}/`)) route.config = { scope: 'public', ...route.config };
  });
  await app.register(swaggerUi, {
    routePrefix: DOCS,
    staticCSP: DOCUMENTATION_POLICY,
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true },
    theme: { title: 'MPCSFaaS API' },
  });
}

const KEY_FORM = 'mpcs_<id>_<secret>, from `mpcsfaas key create`; asked for where API_KEYS=required';
const SECURITY_SCHEMES = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'mpcs_...',
    description: `As \`Authorization: Bearer\`: ${KEY_FORM}`,
  },
  header: { type: 'apiKey', in: 'header', name: 'x-api-key', description: KEY_FORM },
} as const;

/** Adds to a route's description what its key must be good for, and how it is refused. */
function withScope(schema: FastifySchema, scope: RouteScope | undefined): FastifySchema {
  if (scope === undefined || scope === 'public') return schema;
  return {
    ...schema,
    security: [{ bearer: [scope] }, { header: [scope] }],
    response: { ...(schema.response as object), ...errorResponses('UNAUTHENTICATED', 'FORBIDDEN') },
  };
}

/** Where to begin, and the description of everything for programs. */
export function documentationRoutes(app: Api, { version }: ApiServices): void {
  const links = {
    dashboard: '/dashboard',
    documentation: '/docs',
    openapi: '/openapi.json',
    ready: '/health/ready',
    workers: '/workers',
  };
  app.get(
    '/',
    {
      config: { scope: 'public' },
      schema: {
        operationId: 'getRoot',
        tags: ['operations'],
        summary: 'What this server is',
        response: {
          200: Type.Object({
            name: Type.Literal('mpcsfaas'),
            version: Type.String(),
            links: Type.Record(Type.String(), Type.String(), { description: 'Where to go from here' }),
          }),
        },
      },
    },
    () => ({ name: 'mpcsfaas' as const, version, links }),
  );

  // Made once, as bytes: answers that a client does not read share them.
  let openapi: Buffer | undefined;
  app.get('/openapi.json', { config: { scope: 'public' }, schema: { hide: true } }, (_request, reply) => {
    openapi ??= Buffer.from(JSON.stringify(app.swagger()));
    return reply.type('application/json; charset=utf-8').send(openapi);
  });
}
