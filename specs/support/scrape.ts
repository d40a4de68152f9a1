export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** What `GET /metrics` answers. */
export async function scrape(apiUrl: string): Promise<string> {
  const response = await fetch(`${apiUrl}/metrics`, { headers: { connection: 'close' } });
  const text = await response.text();
  if (!response.ok) throw new Error(`/metrics answered ${response.status}: ${text}`);
  return text;
}

/** Every sample of an exposition. @throws when a line is none */
export function samples(text: string): Sample[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, name, labels = '', value] = /^([\w:]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || !Number.isFinite(Number(value))) throw new Error(`not a sample: ${line}`);
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [label, text]);
    return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) };
  });
}

export const samplesOf = (text: string, name: string): Sample[] => samples(text).filter((one) => one.name === name);

/** The sum of the samples with these labels, over all processes; 0 when there are none. */
export function sample(text: string, name: string, labels: Record<string, string> = {}): number {
  const matching = samplesOf(text, name).filter((one) =>
    Object.entries(labels).every(([label, value]) => one.labels[label] === value),
  );
  return matching.reduce((sum, { value }) => sum + value, 0);
}
