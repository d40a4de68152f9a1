/**
 * Mocha's own reporter, which shows failures whole, and also writes how many passed and failed to MOCHA_COUNTS_FILE. With
 * MOCHA_GATHERS it prints each suite when it is done, beside another run that does the same, and leaves its summary in that file.
 */
const { writeFileSync } = require('node:fs');
const { format, inspect } = require('node:util');
const { reporters, Runner } = require('mocha');

/** Mocha would cut off what differs at 8 KiB, or not show it at all when it is larger. */
const MAX_DIFF_CHARACTERS = 256 * 1024;
const WHOLE = {
  depth: null,
  maxArrayLength: null,
  maxStringLength: null,
  sorted: true,
  compact: false,
  breakLength: 120,
};

class CountingReporter extends reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    const gathered = process.env.MOCHA_GATHERS ? gatherLines(runner) : [];
    reporters.Base.maxDiffSize = MAX_DIFF_CHARACTERS;
    runner.prependListener(Runner.constants.EVENT_TEST_FAIL, (_test, error) => {
      showDifference(error);
    });
    runner.once(Runner.constants.EVENT_RUN_END, () => {
      const { passes, failures } = this.stats;
      const counts = { passed: passes, failed: failures, summary: gathered.join('\n') };
      writeFileSync(process.env.MOCHA_COUNTS_FILE, JSON.stringify(counts));
    });
  }
}

/** Keeps what is to be printed until the end of each outermost suite; answers with what is kept. */
function gatherLines(runner) {
  const lines = [];
  reporters.Base.consoleLog = (...words) => void lines.push(format(...words));
  runner.on(Runner.constants.EVENT_SUITE_END, (suite) => {
    if (suite.parent?.root) process.stdout.write(`${lines.splice(0).join('\n')}\n`);
  });
  return lines;
}

/** Has mocha print what was compared, also where the comparison is the cause of the error: of a property that failed. */
function showDifference(error) {
  const seen = new Set();
  for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) {
    seen.add(at);
    if (at.showDiff === false || at.expected === undefined) continue;
    const { actual, expected } = at;
    // Of two numbers the message says more: that one should be below the other.
    error.showDiff = typeof expected === 'object' || typeof expected === 'string';
    const areTexts = typeof actual === 'string' && typeof expected === 'string';
    error.actual = areTexts ? actual : inspect(actual, WHOLE);
    error.expected = areTexts ? expected : inspect(expected, WHOLE);
    return;
  }
}

module.exports = CountingReporter;
