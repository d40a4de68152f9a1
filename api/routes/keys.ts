import { Type } from '@fastify/type-provider-typebox';
import { KEY_NAME_PATTERN, newApiKey, SCOPES } from '../../bus/apiKeys.js';
import { TENANT_PATTERN } from '../../bus/tenants.js';
import { PlatformError } from '../../bus/errors.js';
import { keyStory } from '../keyStory.js';
import { errorResponses, Nullable } from '../schemas.js';
import type { Api, ApiServices } from '../services.js';
import { isoTimeSchema } from '../times.js';

const MAX_LIFE_SECONDS = 10 * 365 * 86_400;

const ScopeName = Type.Unsafe<(typeof SCOPES)[number]>({ type: 'string', enum: [...SCOPES] });
const keyFields = {
  key_id: Type.String({ description: 'The first part of the key, by which it is known', examples: ['3f9a1c04b7d2'] }),
  name: Type.String({ description: 'For people' }),
  tenant: Type.String({ description: 'Whose functions and tasks it sees' }),
  scopes: Type.Array(ScopeName, { description: 'What it may do; `admin` may all' }),
  state: Type.Unsafe<'valid' | 'expired' | 'revoked'>({ type: 'string', enum: ['valid', 'expired', 'revoked'] }),
  created_at: isoTimeSchema('When it was made'),
  expires_at: Nullable(isoTimeSchema('When it stops being valid by itself')),
  revoked_at: Nullable(isoTimeSchema('When it was revoked')),
};
const Key = Type.Object(keyFields);
const NewKey = Type.Object({
  ...keyFields,
  key: Type.String({ description: 'The key itself. It is not stored and not shown again.' }),
});

/** Making, listing and revoking API keys. */
export function keyRoutes(app: Api, { apiKeys }: ApiServices): void {
  app.post(
    '/keys',
    {
      config: { scope: 'admin', audit: 'key.create' },
      schema: {
        operationId: 'createKey',
        tags: ['keys'],
        summary: 'Make an API key',
        description: 'The answer has the key, this once: what is stored cannot be turned back into it.',
        body: Type.Object({
          name: Type.String({ pattern: KEY_NAME_PATTERN, description: 'For people', examples: ['ci'] }),
          tenant: Type.String({ pattern: TENANT_PATTERN, description: 'Whose functions and tasks it sees' }),
          scopes: Type.Array(ScopeName, { minItems: 1, maxItems: SCOPES.length, examples: [['submit', 'read']] }),
          expires_s: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: MAX_LIFE_SECONDS,
              description: 'Seconds until it expires. Absent: it does not.',
              examples: [2_592_000],
            }),
          ),
        }),
        response: { 200: NewKey, ...errorResponses('VALIDATION_FAILED', 'QUOTA_EXCEEDED', 'STORE_UNAVAILABLE') },
      },
    },
    async (request, reply) => {
      const { name, tenant, scopes, expires_s } = request.body;
      const nowMs = Date.now();
      const expiry = expires_s === undefined ? {} : { expiresAtMs: nowMs + expires_s * 1000 };
      const { key, record } = newApiKey({ name, tenant, scopes, ...expiry }, nowMs);
      await apiKeys.add(record);
      request.audited = { key_id: record.keyId, tenant, scopes: record.scopes };
      reply.header('cache-control', 'no-store');
      return { ...keyStory(record, nowMs), key };
    },
  );

  app.get(
    '/keys',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'listKeys',
        tags: ['keys'],
        summary: 'All API keys',
        description: 'Oldest first, ended ones too, for 90 days. What is listed cannot be used as a key.',
        response: { 200: Type.Object({ keys: Type.Array(Key) }), ...errorResponses('STORE_UNAVAILABLE') },
      },
    },
    async () => {
      const nowMs = Date.now();
      const { records } = await apiKeys.read();
      return { keys: records.map((record) => keyStory(record, nowMs)) };
    },
  );

  app.post(
    '/keys/:key_id/revoke',
    {
      config: { scope: 'admin', audit: 'key.revoke' },
      schema: {
        operationId: 'revokeKey',
        tags: ['keys'],
        summary: 'Revoke an API key',
        description: 'Every API refuses it from now on, within 100 ms, and ends what it holds open within a second.',
        params: Type.Object({ key_id: Type.String({ maxLength: 64, description: 'Id of the key' }) }),
        response: { 200: Key, ...errorResponses('VALIDATION_FAILED', 'KEY_UNKNOWN', 'STORE_UNAVAILABLE') },
      },
    },
    async ({ params }) => {
      const nowMs = Date.now();
      const record = await apiKeys.revoke(params.key_id, nowMs);
      if (!record) throw new PlatformError('KEY_UNKNOWN', `There is no key ${params.key_id}.`);
      return keyStory(record, nowMs);
    },
  );
}
