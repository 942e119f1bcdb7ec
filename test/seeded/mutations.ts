import type { SweepDeps } from '../../functions/sweep/sweep.ts';
import type { MatchPolicy } from '../../shared/core/policy.ts';
import { milliseconds } from '../../shared/core/time.ts';
import type { CallbackSide, OpenClient, ProviderProfile } from '../../shared/providers/provider.ts';
import type { Change, Item, Table } from '../../shared/store/table.ts';
import type { Invariant } from './oracle.ts';
import type { StageDraw } from './stages.ts';

/**
 * A deliberate bug: it sits between production code and what that stands on, so that production code has no switch
 * for it. Each says which invariants may notice it first.
 */
export interface Mutation {
  readonly name: string;
  readonly caughtBy: readonly Invariant[];
  /** A run in which the bug shows soon, where the seed's own draw would seldom give it a chance. */
  readonly run?: { readonly burst?: number; readonly workers?: number; readonly stage: StageDraw };
  /** Between all functions and their table. */
  readonly table?: (table: Table) => Table;
  /** Between receive and its table. */
  readonly receiveTable?: (table: Table) => Table;
  /** What receive goes by. */
  readonly receivePolicy?: (policy: MatchPolicy) => MatchPolicy;
  readonly client?: (client: OpenClient) => OpenClient;
  readonly profile?: (profile: ProviderProfile) => ProviderProfile;
  readonly side?: (side: CallbackSide) => CallbackSide;
  readonly sweep?: (run: (deps: SweepDeps) => Promise<unknown>, deps: SweepDeps) => Promise<unknown>;
  /** Requests that cost no money pass without a slot. */
  readonly ungated?: boolean;
}

const name = {
  stored: '1 every-2xx-stored-once',
  decided: '2 decided-in-bounded-time',
  once: '3 one-order-per-action-and-cause',
  caps: '4 caps-never-exceeded',
  ends: '5 every-action-ends-known',
  verified: '6 nothing-bought-on-an-unverified-claim',
  open: '7 one-open-action-per-sim',
  ledger: '8 ledger-and-provider-agree',
  drains: '9 everything-drains',
  limits: '10 provider-limits-kept',
  unseen: '11 decided-unseen-only-what-no-rule-asks-for',
} as const satisfies Record<string, Invariant>;

const onWrite =
  (change: (change: Change, table: Table) => Promise<Change | null>) =>
  (table: Table): Table => ({
    ...table,
    write: async (changes) => {
      const changed: Change[] = [];
      for (const one of changes) {
        const next = await change(one, table);
        if (next !== null) changed.push(next);
      }
      return changed.length === 0 ? { ok: true } : table.write(changed);
    },
  });

const isOf = (change: Change, prefix: string): boolean =>
  ('item' in change ? change.item.pk : change.key.pk).startsWith(prefix);

const onGet =
  (change: (item: Item) => Item) =>
  (table: Table): Table => ({
    ...table,
    get: async (key) => {
      const item = await table.get(key);
      return item === null ? null : change(item);
    },
  });

export const mutations: readonly Mutation[] = [
  {
    name: 'receives without the rules, and decides what they ask for',
    caughtBy: [name.unseen],
    receivePolicy: (policy) => ({ ...policy, rules: [] }),
  },
  {
    name: 'answers before it has stored',
    caughtBy: [name.stored],
    receiveTable: (table) => ({
      ...table,
      write: async (changes) => {
        table.write(changes).catch(() => undefined);
        return { ok: true };
      },
    }),
  },
  {
    name: 'stores a repeated callback again',
    caughtBy: [name.stored],
    receiveTable: onWrite(async (change, table) => {
      if (change.kind !== 'insert' || !isOf(change, 'EVENT#')) return change;
      const taken = await table.get(change.item);
      if (taken === null) return change;
      const eventId = `evt_${change.item.pk.slice(-31)}f`;
      const event = { ...Object(change.item.data.event), eventId };
      return {
        kind: 'insert',
        item: { ...change.item, pk: `EVENT#${eventId}`, data: { ...change.item.data, event } },
      };
    }),
  },
  {
    name: 'never sweeps',
    caughtBy: [name.decided, name.drains],
    sweep: async () => undefined,
  },
  {
    name: 'sweeps events only, so that the action of a dead worker stays where it was',
    caughtBy: [name.drains],
    sweep: (run, deps) => run({ ...deps, actions: new Map() }),
  },
  {
    name: 'sweeps actions only, so that a lost hint loses its event',
    caughtBy: [name.decided],
    sweep: (run, deps) => {
      const table: Table = {
        ...deps.table,
        query: async (query, options) =>
          query.pk.startsWith('EVENTS#') ? { items: [], cursor: null } : deps.table.query(query, options),
      };
      return run({ ...deps, table });
    },
  },
  {
    name: 'takes a time-out for a failure and tries again',
    caughtBy: [name.once],
    client: (client) => ({
      ...client,
      purchase: async (order, startBy) => {
        const outcome = await client.purchase(order, startBy);
        if (outcome.kind !== 'unknown') return outcome;
        return { ...outcome, kind: 'retryable', retryAfter: null, burnsAttempt: true };
      },
    }),
  },
  {
    name: 'takes a time-out of a call for several SIMs for a failure of each',
    caughtBy: [name.once],
    run: {
      stage: {
        caps: 'wide',
        velocity: 20,
        purchasesPerHour: 1_000,
        approval: false,
        requestsPerSec: 10,
        coalesce: true,
      },
    },
    client: (client) => ({
      ...client,
      purchaseTogether: async (orders, startBy) => {
        const outcomes = (await client.purchaseTogether?.(orders, startBy)) ?? [];
        return outcomes.map((outcome) =>
          outcome.kind === 'unknown'
            ? { ...outcome, kind: 'retryable', retryAfter: null, burnsAttempt: true }
            : outcome,
        );
      },
    }),
  },
  {
    name: 'takes the first look without the order for a proof of absence',
    caughtBy: [name.once],
    profile: (profile) => ({
      ...profile,
      lateCommit: milliseconds(0),
      callTimeout: milliseconds(0),
      clockSkew: milliseconds(0),
    }),
  },
  {
    name: 'gives each attempt an order number of its own',
    caughtBy: [name.once, name.ledger],
    client: (client) => ({
      ...client,
      purchase: (order, startBy) =>
        client.purchase({ ...order, reference: order.reference.replace(/^.{4}/, 'ffff') }, startBy),
    }),
  },
  {
    name: 'ignores the fence: writes whatever version it read',
    caughtBy: [name.once, name.open, name.ledger, name.caps],
    table: onWrite(async (change, table) => {
      if (change.kind !== 'replace') return change;
      const found = await table.get(change.item);
      return found === null ? change : { ...change, ifVersion: found.version };
    }),
  },
  {
    name: 'drops the guards of the caps',
    caughtBy: [name.caps],
    run: {
      burst: 8,
      workers: 2,
      stage: {
        caps: 'tight',
        velocity: 20,
        purchasesPerHour: 1_000,
        approval: false,
        requestsPerSec: 10,
        coalesce: false,
      },
    },
    table: onWrite(async (change) =>
      change.kind === 'add'
        ? { ...change, adds: change.adds.map((one) => ({ ...one, atMost: null })) }
        : change,
    ),
  },
  {
    name: 'forgets what the SIM has spent',
    caughtBy: [name.caps, name.ledger],
    table: onGet((item) =>
      item.pk.startsWith('SIM#')
        ? { ...item, data: { ...item.data, committedMinor: {}, claimedAt: [] } }
        : item,
    ),
  },
  {
    name: 'swallows parked actions: no list shows them',
    caughtBy: [name.ends],
    table: onWrite(async (change) => {
      if (!('item' in change) || change.item.indexes.due?.pk !== 'WAITING#parked') return change;
      const { due: _due, ...indexes } = change.item.indexes;
      return { ...change, item: { ...change.item, indexes } };
    }),
  },
  {
    name: 'accepts any signature',
    caughtBy: [name.verified],
    side: (side) => ({
      ...side,
      verify: () => ({ ok: true, variant: 'any', keyIndex: 0, signedAtMs: null }),
    }),
  },
  {
    name: 'believes unsigned claims without asking',
    caughtBy: [name.verified],
    client: (client) => ({ ...client, confirm: async () => ({ kind: 'confirmed', detail: 'believed' }) }),
  },
  {
    name: 'knows no lock on a SIM',
    caughtBy: [name.open],
    table: onGet((item) =>
      item.pk.startsWith('SIM#')
        ? { ...item, data: { ...item.data, openActionId: null, cooldowns: {} } }
        : item,
    ),
  },
  {
    name: 'books no charge',
    caughtBy: [name.ledger],
    client: (client) => ({
      ...client,
      purchase: async (order, startBy) => {
        const outcome = await client.purchase(order, startBy);
        return outcome.kind === 'succeeded'
          ? { ...outcome, charge: { amountMinor: 0, currency: order.maxCost.currency } }
          : outcome;
      },
    }),
  },
  {
    name: 'takes a good answer for a refusal',
    caughtBy: [name.ledger, name.once],
    client: (client) => ({
      ...client,
      purchase: async (order, startBy) => {
        const outcome = await client.purchase(order, startBy);
        return outcome.kind === 'succeeded'
          ? { kind: 'refused', refusal: 'business', code: 'x', message: 'x' }
          : outcome;
      },
    }),
  },
  {
    name: 'keeps no counter of the caps in step',
    caughtBy: [name.ledger],
    table: onWrite(async (change) =>
      change.kind === 'add' && change.adds.some(({ delta }) => delta < 0) ? null : change,
    ),
  },
  {
    name: 'asks the provider without passing the gate',
    caughtBy: [name.limits],
    ungated: true,
  },
  {
    name: 'remembers no request that it let pass',
    caughtBy: [name.limits],
    table: onGet((item) => (item.sk === 'LIMIT' ? { ...item, data: { ...item.data, grants: [] } } : item)),
  },
];
