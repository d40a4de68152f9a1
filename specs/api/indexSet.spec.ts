import { expect } from 'chai';
import fc from 'fast-check';
import { IndexSet } from '../../api/groups/indexSet.js';

describe('a set of positions', () => {
  const setOf = (indexes: Iterable<number>) => {
    const set = new IndexSet();
    for (const index of indexes) set.add(index);
    return set;
  };

  it('is written as ranges', () => {
    expect(setOf([]).toText()).to.equal('');
    expect(setOf([0]).toText()).to.equal('0');
    expect(setOf([5, 3, 4, 31, 32, 33, 99]).toText()).to.equal('3-5,31-33,99');
    expect(setOf(Array(500).keys()).toText()).to.equal('0-499');
    expect(setOf([...Array(500).keys(), 502]).toText()).to.equal('0-499,502');
  });

  it('is read back as it was written', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(700)), (indexes) => {
        const text = setOf(indexes).toText();
        const set = IndexSet.parse(text, 1000)!;
        expect(set.size).to.equal(indexes.length);
        expect(set.toText()).to.equal(text);
        expect(indexes.every((index) => set.has(index))).to.be.true;
      }),
    );
  });

  it('stays right while it is written again and again', () => {
    const set = new IndexSet();
    for (let index = 0; index < 3000; index++) {
      set.add(index);
      if (index % 7 === 0) expect(set.toText()).to.equal(index === 0 ? '0' : `0-${index}`);
    }
  });

  it('is written as far as there is room', () => {
    expect(setOf([0, 2, 4, 6, 8]).toText(5)).to.equal('0,2,4');
    expect(setOf([0, 2, 4, 6, 8]).toText(4)).to.equal('0,2');
  });

  it('takes no more memory than the limit allows, whatever a text says', () => {
    const set = IndexSet.parse('5-999999999,7', 10)!;
    expect(set.toText()).to.equal('5-9');
  });

  it('refuses other texts', () => {
    for (const text of ['x', '1-', '-1', '1,,2', '1-2-3', '1,', '10000000000', ' 1']) {
      expect(IndexSet.parse(text, 10), text).to.be.undefined;
    }
    expect(IndexSet.parse('', 10)!.size).to.equal(0);
    expect(IndexSet.parse('9-3', 10)!.size).to.equal(0);
  });
});
