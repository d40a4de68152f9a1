import { Type } from '@fastify/type-provider-typebox';
import { PlatformError } from '../../bus/errors.js';
import { pythonNeeded } from '../../bus/functionOrigin.js';
import { refuseWhileDraining } from '../draining.js';
import { askerOf, ownerOf } from '../principal.js';
import { originFields, originOf } from '../functionOriginFields.js';
import { pickleOf } from '../pickleField.js';
import { errorResponses, Payload, Uuid } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import { MAX_NAME_CHARS } from '../functionNames.js';
import { FunctionStory, functionStory } from '../functionStory.js';

const FunctionId = Uuid('Id of the function; the same bytes always have the same one');

/** Functions: registering one, and what is known of one. */
export function functionRoutes(app: Api, services: ApiServices): void {
  const { store, knownFunctions } = services;

  app.post(
    '/register_function',
    {
      config: { scope: 'submit', audit: 'function.register' },
      onRequest: refuseWhileDraining(services),
      schema: {
        operationId: 'registerFunction',
        tags: ['course'],
        summary: 'Register a function',
        description: `Functions are immutable and known by their content: registering the same bytes again answers the same id.
What is told of its Python and its source sends its tasks only to workers that can load it.`,
        body: Type.Object({
          name: Type.String({
            ...{ maxLength: MAX_NAME_CHARS, examples: ['double'] },
            description: 'Name for people, such as `double`',
          }),
          payload: Payload('Base64 of `dill.dumps(function)`'),
          ...originFields,
        }),
        response: {
          200: Type.Object({ function_id: FunctionId }),
          ...errorResponses(...SUBMIT_ERRORS),
        },
      },
    },
    async (request) => {
      const { body, principal } = request;
      const asker = askerOf(principal);
      const tenant = ownerOf(principal);
      const origin = originOf(body);
      const { functionId, created } = await store.registerFunction({
        name: body.name,
        payload: pickleOf(() => 'payload', body.payload),
        ...(origin && { origin }),
        ...(tenant !== undefined && { tenant }),
      });
      request.audited = { function_id: functionId };
      // Of a function that was there before something may be known, or just have been learnt.
      if (created) knownFunctions.remember(functionId, pythonNeeded(origin), asker);
      else knownFunctions.forget(functionId, asker);
      return { function_id: functionId };
    },
  );

  app.get(
    '/functions/:function_id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getFunction',
        tags: ['functions'],
        summary: 'What is known of a function',
        params: Type.Object({ function_id: FunctionId }),
        response: {
          200: FunctionStory,
          ...errorResponses('VALIDATION_FAILED', 'FUNCTION_UNKNOWN', 'STORE_UNAVAILABLE'),
        },
      },
    },
    async ({ params, principal }) => {
      const functionId = params.function_id.toLowerCase();
      const [record, [runs]] = await Promise.all([
        store.readFunction(functionId, askerOf(principal)),
        store.readFunctionRuns([functionId]),
      ]);
      if (!record || !runs) throw new PlatformError('FUNCTION_UNKNOWN', `There is no function ${functionId}.`);
      return functionStory(record, runs);
    },
  );
}

const SUBMIT_ERRORS = [
  'VALIDATION_FAILED',
  'PAYLOAD_NOT_BASE64',
  'PAYLOAD_NOT_PICKLE',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'STORE_UNAVAILABLE',
  'SHUTTING_DOWN',
] as const;
