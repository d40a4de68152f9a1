import { laneOf } from '../../bus/tenants.js';
import type { Lane } from '../../bus/requirement.js';
import { SortedSet } from './sortedSet.js';

/** What a lane is given from one list. */
export interface Served {
  taken: number;
  isEmpty: boolean;
}

/** What serving in turns needs of the claim. */
export interface TurnsClaim {
  left: () => number;
  mayServe: (lane: Lane) => boolean;
  serve: (lane: Lane, list: string, share: number) => Served;
}

interface Place {
  lane: Lane;
  waiting: SortedSet;
  hasPlain: boolean;
}

interface Choice {
  place: Place;
  tenant: string;
  pass: number;
}

/** Tenants that take turns at one priority: as `turns.lua`. */
export class Turns {
  /** By requirement. */
  readonly waiting = new Map<string, SortedSet>();
  readonly passes = new Map<string, number>();
  /** Pass of the one last served. */
  last = 0;

  /** As `await_turn`. */
  enter(tenant: string, requirement: string): void {
    const waiting = this.at(requirement);
    if (waiting.scoreOf(tenant) === undefined) waiting.add(tenant, this.passOf(tenant));
  }

  /** False where no tenant waits. */
  serve(lanes: readonly Lane[], claim: TurnsClaim): boolean {
    let open: Place[] = lanes
      .filter((lane) => claim.mayServe(lane))
      .map((lane) => ({ lane, waiting: this.at(lane.requirement), hasPlain: true }));
    const waiting = open.reduce((sum, place) => sum + place.waiting.size, 0);
    if (waiting === 0) return false;
    const share = Math.max(1, Math.floor(claim.left() / (waiting + open.length)));
    let isServed = false;
    while (claim.left() > 0) {
      const choice = this.choose(open);
      if (!choice) break;
      const { place, tenant, pass } = choice;
      if (tenant !== '' && this.passOf(tenant) > pass) {
        place.waiting.add(tenant, this.passOf(tenant));
        continue;
      }
      const { requirement } = place.lane;
      const list = tenant === '' ? requirement : laneOf(tenant, requirement);
      const { taken, isEmpty } = claim.serve(place.lane, list, Math.min(share, claim.left()));
      if (taken > 0) {
        isServed = true;
        this.last = Math.max(this.last, pass);
        this.passes.set(tenant, pass + taken);
      }
      if (tenant === '') place.hasPlain &&= !isEmpty;
      else if (isEmpty) place.waiting.remove(tenant);
      else place.waiting.add(tenant, pass + taken);
      if (!claim.mayServe(place.lane)) open = open.filter((one) => one !== place);
    }
    if (isServed) this.forgetBehind();
    return true;
  }

  private choose(open: readonly Place[]): Choice | undefined {
    let chosen: Choice | undefined;
    const consider = (place: Place, tenant: string, pass: number): void => {
      if (!chosen || pass < chosen.pass) chosen = { place, tenant, pass };
    };
    for (const place of open) {
      if (place.hasPlain) consider(place, '', this.passOf(''));
      const [tenant] = place.waiting.upTo(Infinity, 1);
      if (tenant !== undefined) consider(place, tenant, place.waiting.scoreOf(tenant) as number);
    }
    return chosen;
  }

  private passOf(tenant: string): number {
    return Math.max(this.passes.get(tenant) ?? 0, this.last);
  }

  private at(requirement: string): SortedSet {
    const waiting = this.waiting.get(requirement) ?? new SortedSet();
    this.waiting.set(requirement, waiting);
    return waiting;
  }

  private forgetBehind(): void {
    for (const [tenant, pass] of this.passes) if (pass < this.last) this.passes.delete(tenant);
  }
}
