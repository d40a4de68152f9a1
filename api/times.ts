import { type TNumber, type TString, Type } from '@fastify/type-provider-typebox';

export const isoTime = (ms: number): string => new Date(ms).toISOString();

export const isoTimeSchema = (description: string): TString =>
  Type.String({ description: `${description}, ISO 8601 in UTC`, examples: ['2026-01-31T12:00:00.000Z'] });

export const msTimeSchema = (description: string): TNumber =>
  Type.Number({ description: `${description}, milliseconds since the epoch`, examples: [1769860800000] });
