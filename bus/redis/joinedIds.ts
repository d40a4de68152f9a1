const ID_LENGTH = 36;

/** Ids are all of one length: many are kept as one text. */
export function joinedIds(text: string): string[] {
  const ids: string[] = [];
  for (let at = 0; at < text.length; at += ID_LENGTH) ids.push(text.slice(at, at + ID_LENGTH));
  return ids;
}
