import type { FastifyError } from 'fastify';
import { UUID_PATTERN } from './schemas.js';

type ValidationError = NonNullable<FastifyError['validation']>[number];

/** Where in a request the field was looked for, as Fastify calls it, and as people do. */
const PLACES: Record<string, string> = {
  body: 'the body',
  params: 'the path',
  querystring: 'the query',
  headers: 'the headers',
};

/** A sentence on what a request has wrong, naming the field: "`payload` must be a string." */
export function validationMessage(error: ValidationError, context: string): string {
  const place = PLACES[context] ?? context;
  const field = fieldName(error.instancePath);
  const { params } = error;
  if (error.keyword === 'required') {
    const missing = field === '' ? String(params.missingProperty) : `${field}.${String(params.missingProperty)}`;
    return `\`${missing}\` is missing from ${place}.`;
  }
  if (field === '') return `${place.charAt(0).toUpperCase()}${place.slice(1)} must be a JSON object.`;
  return `\`${field}\` in ${place} ${rule(error)}.`;
}

function rule({ keyword, params, message }: ValidationError): string {
  switch (keyword) {
    case 'type':
      return `must be ${withArticle(String(params.type))}`;
    case 'pattern':
      return params.pattern === UUID_PATTERN ? 'must be a UUID' : `must match ${String(params.pattern)}`;
    case 'enum':
      return `must be one of ${(params.allowedValues as unknown[]).join(', ')}`;
    case 'minimum':
      return `must be at least ${String(params.limit)}`;
    case 'maximum':
      return `must be at most ${String(params.limit)}`;
    case 'maxLength':
      return `must have at most ${String(params.limit)} characters`;
    case 'minItems':
      return 'must not be empty';
    case 'maxItems':
      return `must have at most ${String(params.limit)} items`;
    default:
      return message ?? 'is not valid';
  }
}

const withArticle = (type: string): string => `${/^[aio]/.test(type) ? 'an' : 'a'} ${type}`;

/** `/payloads/3` -> `payloads[3]`; JSON pointer escapes are undone. */
function fieldName(instancePath: string): string {
  return instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part, depth) => (/^\d+$/.test(part) ? `[${part}]` : depth === 0 ? part : `.${part}`))
    .join('');
}
