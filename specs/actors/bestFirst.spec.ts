import { expect } from 'chai';
import fc from 'fast-check';
import { BestFirst } from '../../actors/bestFirst.js';

describe('BestFirst', () => {
  it('finds what a look at every item would find, while scores fall', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 200 }),
        (scores, falls) => {
          const items = scores.map((score) => ({ score }));
          const scoreOf = ({ score }: { score: number }): number => (score > 0 ? score : -Infinity);
          const choice = new BestFirst(items, scoreOf);
          for (const fall of falls) {
            const highest = Math.max(-Infinity, ...items.map(scoreOf));
            const best = choice.best();
            expect(best ? scoreOf(best) : -Infinity).to.equal(highest);
            if (best) best.score -= fall;
          }
        },
      ),
    );
  });
});
