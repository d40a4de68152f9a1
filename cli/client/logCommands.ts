import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError, EXIT, type Json, type PlatformApi } from './platformApi.js';
import type { Screen } from './screen.js';
import { number, text } from './words.js';

/** An API that is started again is back by then; and how often it is looked for. */
const AWAY_MS = 30_000;
const LOOK_AGAIN_MS = 500;

export async function showLogs(
  api: PlatformApi,
  screen: Screen,
  taskId: string,
  { follow }: { follow?: boolean },
): Promise<void> {
  const path = `/tasks/${encodeURIComponent(taskId)}/logs`;
  if (follow === true) await followLog(api, screen, `${path}?follow=1`);
  else if (screen.json) screen.object(await api.get(path));
  else screen.raw(await api.text(`${path}?format=text`));
}

/**
 * Shows each line once, until the task has ended. When the API stops or its connection breaks it goes on as soon as there is one
 * again.
 * @throws CommandError
 */
async function followLog(api: PlatformApi, screen: Screen, path: string): Promise<void> {
  const news = new UnseenLines();
  /** Undefined while the API is there, or has never been. */
  let giveUpAtMs: number | undefined;
  let wasThere = false;
  for (;;) {
    let trouble = new CommandError(
      `${api.url} stopped before the task had ended; follow it again when it is back.`,
      EXIT.unreachable,
    );
    try {
      news.startAgain();
      for await (const line of api.lines(path, 'application/x-ndjson')) {
        const piece = line.trim() === '' ? undefined : (JSON.parse(line) as Json);
        if (piece?.['end'] === true && piece['reason'] === 'closing') break;
        wasThere = true;
        giveUpAtMs = undefined;
        if (piece && (piece['end'] === true || news.isNew(piece))) show(screen, piece);
        if (piece?.['end'] === true) return;
      }
    } catch (error) {
      if (!wasThere || !(error instanceof CommandError) || error.exitCode !== EXIT.unreachable) throw error;
      trouble = error;
    }
    if (giveUpAtMs === undefined) {
      giveUpAtMs = performance.now() + AWAY_MS;
      if (!screen.json) screen.note(screen.paint('dim', 'the API is away; this goes on when it is back'));
    }
    if (performance.now() > giveUpAtMs) throw trouble;
    wasThere = true;
    await sleep(LOOK_AGAIN_MS);
  }
}

function show(screen: Screen, piece: Json): void {
  if (screen.json) screen.object(piece);
  else if (piece['end'] !== true)
    (piece['stream'] === 'stderr' ? process.stderr : process.stdout).write(text(piece['text']));
  else {
    const cut = piece['truncated'] === true ? '; what it printed was cut' : '';
    screen.note(screen.paint('dim', `task ${text(piece['status'])}${cut}`));
  }
}

/** Tells the lines that were not there before: each stream begins with the first one of the attempt that is the last then. */
class UnseenLines {
  private attempt = 0;
  private seen = 0;
  private place = 0;

  startAgain(): void {
    this.place = 0;
  }

  isNew(line: Json): boolean {
    const attempt = number(line['attempt']);
    if (attempt !== this.attempt) {
      this.attempt = attempt;
      this.seen = 0;
      this.place = 0;
    }
    this.place++;
    if (this.place <= this.seen) return false;
    this.seen = this.place;
    return true;
  }
}
