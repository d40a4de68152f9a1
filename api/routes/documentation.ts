import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { Type } from '@fastify/type-provider-typebox';
import type { Api, ApiServices } from '../services.js';

const DESCRIPTION = `Runs Python functions. Register one, execute it with arguments, fetch the result.

Payloads are base64 (Python's \`codecs.encode(data, "base64")\`) of \`dill.dumps(...)\`; results load with \`dill.loads(...)\`.
Every error answers \`{detail, code, remedy}\`. A task id means that the task is durable. A 503 means that nobody knows: ask again.`;

const DOCS = '/docs';

/** Before any route is added: collects their schemas, and serves the pages that show them, from files of this machine. */
export async function documentation(app: Api, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'MPCSFaaS', version, description: DESCRIPTION, license: { name: 'MIT', identifier: 'MIT' } },
      tags: [
        { name: 'course', description: 'The API of the course: one function, one task' },
        { name: 'tasks', description: 'Many tasks at once, and all about one' },
        { name: 'groups', description: 'Tasks that belong together: progress, results as they come' },
        { name: 'functions', description: 'Registered functions' },
        { name: 'operations', description: 'Workers and health' },
      ],
    },
  });
  // Its routes declare nothing of themselves; the pages hold nothing that is secret.
  app.addHook('onRoute', (route) => {
    if (route.url === DOCS || route.url.startsWith(`${DOCS}/`)) route.config = { scope: 'public', ...route.config };
  });
  await app.register(swaggerUi, {
    routePrefix: DOCS,
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true },
    theme: { title: 'MPCSFaaS API' },
  });
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
