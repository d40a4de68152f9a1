interface Query {
  query: unknown;
}

/**
 * Query parameters are texts; bodies are not coerced, so neither are these, but for the few that are named here. As a route's
 * `preValidation`; what is no number or boolean is left to validation.
 */
export function queryValues(names: { numbers?: readonly string[]; booleans?: readonly string[] }) {
  return (request: Query, _reply: unknown, done: () => void): void => {
    const query = request.query as Record<string, unknown>;
    for (const name of names.numbers ?? []) {
      if (query[name] !== undefined) query[name] = query[name] === '' ? Number.NaN : Number(query[name]);
    }
    for (const name of names.booleans ?? []) {
      if (query[name] === '1' || query[name] === 'true') query[name] = true;
      if (query[name] === '0' || query[name] === 'false') query[name] = false;
    }
    done();
  };
}
