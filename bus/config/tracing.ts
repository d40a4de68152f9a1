import { ConfigError, type Environment, text } from './values.js';

/** The names are OpenTelemetry's own. `OTEL_EXPORTER_OTLP_HEADERS` is read by its exporter. */
export interface TracingConfig {
  /** `OTEL_EXPORTER_OTLP_ENDPOINT`: collector of traces (OTLP over HTTP), such as http://127.0.0.1:4318. Default none: no traces. */
  readonly otlpEndpoint: string | undefined;
  /** `OTEL_TRACES_SAMPLER_ARG`: share of the requests that are traced, 0 to 1; who sends a `traceparent` decides by itself. Default 1. */
  readonly traceRatio: number;
  /** `OTEL_SERVICE_NAME`: default mpcsfaas. */
  readonly serviceName: string;
}

export function parseTracing(env: Environment): TracingConfig {
  const endpoint = text(env, 'OTEL_EXPORTER_OTLP_ENDPOINT', '');
  if (endpoint !== '' && !/^https?:\/\/[^\s]+$/.test(endpoint)) {
    throw new ConfigError('OTEL_EXPORTER_OTLP_ENDPOINT', endpoint, 'a URL such as http://127.0.0.1:4318');
  }
  const ratio = text(env, 'OTEL_TRACES_SAMPLER_ARG', '1');
  if (!(/^[\d.]+$/.test(ratio) && Number(ratio) >= 0 && Number(ratio) <= 1)) {
    throw new ConfigError('OTEL_TRACES_SAMPLER_ARG', ratio, 'a number from 0 to 1');
  }
  return {
    otlpEndpoint: endpoint === '' ? undefined : endpoint,
    traceRatio: Number(ratio),
    serviceName: text(env, 'OTEL_SERVICE_NAME', 'mpcsfaas'),
  };
}
