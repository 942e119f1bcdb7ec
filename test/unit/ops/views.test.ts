import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { bar, percent } from '../../../infra/ops/bar-chart.ts';
import { findSample, samplesOf } from '../../../infra/ops/callback-samples.ts';
import { listStops, turned } from '../../../infra/ops/commands/stops.ts';
import { completionScript } from '../../../infra/ops/completion-script.ts';
import { moneySums, showSums } from '../../../infra/ops/money-sums.ts';
import { countReservations } from '../../../infra/ops/purchase-proof.ts';
import { inOrder, lastUsageShare, pictureOf, planPeriods } from '../../../infra/ops/sim-story.ts';
import type { LedgerKind } from '../../../shared/core/action.ts';
import { noStops } from '../../../shared/core/controls.ts';
import { after, hours } from '../../../shared/core/time.ts';
import type { EventFacts } from '../../../shared/core/webhook-event.ts';
import { callbackOf } from '../../../shared/providers/callback.ts';
import { providers } from '../../../shared/providers/registry.ts';
import { decidedAction, event, noOrder, noon, usd } from '../core/samples.ts';

const at = (hour: number, facts: EventFacts) => event({ receivedAt: after(noon, hours(hour)), facts });
const plan = (kind: 'package-effective' | 'package-stopped') => ({ kind, order: noOrder }) as const;

describe("a SIM's story", () => {
  it('finds plan periods between start and stop notices, the last one open', () => {
    const events = [
      at(8, plan('package-effective')),
      at(1, plan('package-effective')),
      at(5, plan('package-stopped')),
    ];
    expect(planPeriods(events)).toEqual([
      { from: after(noon, hours(1)), to: after(noon, hours(5)) },
      { from: after(noon, hours(8)), to: null },
    ]);
  });

  it('takes a second start for the same plan, and a stop without a start for none', () => {
    const events = [
      at(0, plan('package-stopped')),
      at(1, plan('package-effective')),
      at(2, plan('package-effective')),
    ];
    expect(planPeriods(events)).toEqual([{ from: after(noon, hours(1)), to: null }]);
  });

  it('draws plans, alerts and purchases over one axis', () => {
    const { action } = decidedAction();
    const range = { from: noon, to: after(noon, hours(60)) };
    const events = [event(), at(30, plan('package-effective'))];
    const rows = pictureOf(range, events, [{ ...action, createdAt: after(noon, hours(59)) }]).rows;
    expect(rows[0]).toBe(`plan       ${'·'.repeat(30)}${'━'.repeat(30)}`);
    expect(rows[1]).toBe(`alerts     ▼${'·'.repeat(59)}`);
    expect(rows[2]).toBe(`purchases  ${'·'.repeat(59)}○`);
    expect(rows[3]).toContain('2026-01-14 12:00');
    expect(rows[3]).toContain('2026-01-17 00:00');
  });

  it('takes the share of data from the newest alert that gives one', () => {
    const share = (hour: number, value: string) =>
      at(hour, { kind: 'usage-alert', alert: 'low-data-percent', value, order: noOrder });
    expect(lastUsageShare([share(1, '9'), share(2, '8.5'), event()])).toMatchObject({ percent: 8.5 });
    expect(lastUsageShare([share(1, '900')])).toBeNull();
    expect(lastUsageShare([event()])).toBeNull();
  });

  it('puts causes before effects within one moment', () => {
    const line = (rank: number, when = noon) => ({ at: when, kind: 'try', id: '', text: '', rank }) as const;
    expect(inOrder([line(4), line(0), line(2, after(noon, hours(-0)))]).map(({ rank }) => rank)).toEqual([
      0, 2, 4,
    ]);
  });
});

describe('figures', () => {
  it('draw bars to an eighth, and something for anything above nothing', () => {
    expect([0, 0.5, 1, 2, 0.0001].map((share) => bar(share, 4))).toEqual([
      '    ',
      '██  ',
      '████',
      '████',
      '▏   ',
    ]);
    expect([0, 0.001, 0.5, 1.2].map(percent)).toEqual(['0 %', '<1 %', '50 %', '120 %']);
  });

  it('are summed by currency', () => {
    const sums = moneySums();
    expect(showSums(sums.list())).toBe('nothing');
    for (const amount of [usd(500), { amountMinor: 300, currency: 'CNY' }, usd(1)]) sums.add(amount);
    expect(showSums(sums.list())).toBe('CNY 3.00 + USD 5.01');
  });

  it.each<readonly [readonly LedgerKind[], object]>([
    [['reserved', 'charged'], { reserved: 1, released: 0, purchases: 1, open: 0 }],
    [
      ['reserved', 'released', 'reserved', 'charged', 'charged'],
      { reserved: 2, released: 1, purchases: 1, open: 0 },
    ],
    [['reserved', 'charged', 'corrected', 'refunded'], { reserved: 1, purchases: 1, open: 0 }],
    [['reserved', 'reserved', 'charged', 'charged'], { reserved: 2, purchases: 2 }],
    [['reserved'], { open: 1, purchases: 0 }],
  ])('tell purchases from corrections in a ledger of %j', (kinds, expected) => {
    const ledger = kinds.map((kind) => ({ kind, amount: usd(1), at: noon, estimated: false, note: '' }));
    expect(countReservations(ledger)).toMatchObject(expected);
  });
});

describe('switches', () => {
  const stop = { since: noon, by: 'mary', reason: 'prices' };

  it('turn one at a time and are listed widest first', () => {
    const one = turned(noStops, { kind: 'rule', id: 'r' }, stop) ?? noStops;
    const two = turned(one, { kind: 'provider', id: 'p' }, stop) ?? noStops;
    const all = turned(two, { kind: 'all' }, stop) ?? noStops;
    expect(listStops(all).map(({ what }) => what)).toEqual(['everything', 'provider p', 'rule r']);
    expect(turned(all, { kind: 'all' }, null)).toEqual(two);
    expect(turned(one, { kind: 'rule', id: 'r' }, null)).toEqual(noStops);
  });

  it.each([
    { kind: 'all' } as const,
    { kind: 'provider', id: 'p' } as const,
    { kind: 'rule', id: 'constructor' } as const,
  ])('that are not set can not be taken away: %j', (target) => {
    expect(turned(noStops, target, null)).toBeNull();
  });
});

describe('samples of callbacks', () => {
  it.each(providers.map(({ id }) => id))(
    'of %s are read by its provider as the kind that they are said to be',
    (id) => {
      const side = providers.find((provider) => provider.id === id)?.callbacks;
      const fill = { nowMs: noon, id: 'abc', nonce: 12_345, sim: '89852000263320817044' };
      expect(samplesOf(id).length).toBeGreaterThan(3);
      for (const sample of samplesOf(id)) {
        const body = Buffer.from(JSON.stringify(sample.body(fill)));
        const reading = side?.read(callbackOf(body, {}), { currency: 'USD' });
        expect(reading, `${id} ${sample.name}`).toMatchObject({
          ok: true,
          facts: [{ facts: { kind: sample.kind } }],
        });
        expect(reading?.ok ? reading.facts[0]?.subject : null, `${id} ${sample.name}`).not.toBeNull();
      }
    },
  );

  it('are found by name, whatever its case, and by kind', () => {
    expect(findSample('eiotclub', 'flowalert')?.name).toBe('FlowAlert');
    expect(findSample('eiotclub', 'usage-alert')?.name).toBe('FlowAlert');
    expect(findSample('linksfield-csss', '1009')?.name).toBe('1009');
    expect(findSample('eiotclub', 'nope')).toBeNull();
    expect(findSample('constructor', 'usage-alert')).toBeNull();
  });
});

describe('completion', () => {
  const program = new Command('simhook').option('--json');
  program.command('sim').command('show').option('--since <time>');
  program.command('events').option('--follow');

  it('offers commands, and options with those of the commands above', () => {
    const bash = completionScript(program, 'bash');
    expect(bash).toContain("'') words='--help --json events sim' ;;");
    expect(bash).toContain("'sim show') words='--help --json --since' ;;");
    expect(bash).not.toContain("'sim') words='--since");
    expect(completionScript(program, 'zsh')).toMatch(/^#compdef simhook/);
    expect(completionScript(program, 'fish')).toContain(
      "complete -c simhook -n '__fish_seen_subcommand_from sim; and __fish_seen_subcommand_from show' -l since",
    );
  });
});
