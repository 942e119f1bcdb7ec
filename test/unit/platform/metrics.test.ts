import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { receiveFigures } from '../../../functions/receive/metrics.ts';
import { epochMs } from '../../../shared/core/time.ts';
import { emfMetrics, measuringLog } from '../../../shared/platform/metrics.ts';

const at = epochMs(1_795_323_600_000);

/** The members that CloudWatch asks for. Source: CloudWatch user guide, "Specification: Embedded metric format". */
const emfSchema = z.looseObject({
  _aws: z.strictObject({
    Timestamp: z.int(),
    CloudWatchMetrics: z.array(
      z.strictObject({
        Namespace: z.string().min(1),
        Dimensions: z.array(z.array(z.string()).max(30)).length(1),
        Metrics: z.array(
          z.strictObject({
            Name: z.string().min(1),
            Unit: z.enum(['Count', 'Milliseconds', 'Seconds', 'None']),
          }),
        ),
      }),
    ),
  }),
});

describe('figures', () => {
  it('are one line of embedded metric format, every name of it with a value beside it', () => {
    const written: string[] = [];
    const metrics = emfMetrics('production', (line) => written.push(line));
    metrics({
      at,
      dimensions: { provider: 'eiotclub' },
      values: [{ name: 'Callbacks', value: 2, unit: 'Count' }],
    });
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/^[^\n]+\n$/);
    const line = emfSchema.parse(JSON.parse(written[0] ?? ''));
    const [directive] = line._aws.CloudWatchMetrics;
    expect(directive?.Dimensions).toEqual([['stage', 'provider']]);
    expect(line).toMatchObject({ stage: 'production', provider: 'eiotclub', Callbacks: 2 });
    for (const { Name } of directive?.Metrics ?? []) expect(typeof line[Name]).toBe('number');
  });

  it('ride on the log line of what they tell, with one directive for each set of dimensions', () => {
    const written: string[] = [];
    const log = measuringLog(
      'production',
      () => at,
      (line) => written.push(line),
    );
    const count = (name: string, dimensions: Record<string, string>, when = at) => ({
      at: when,
      dimensions,
      values: [{ name, value: 1, unit: 'Count' as const }],
    });
    log('info', 'callback stored', { provider: 'eiotclub', kind: 'refund' }, (moment) => [
      count('Callbacks', { provider: 'eiotclub' }, moment),
      count('Events', { provider: 'eiotclub', kind: 'refund' }, moment),
      count('Decisions', { provider: 'eiotclub' }, moment),
    ]);
    expect(written).toHaveLength(1);
    const line = emfSchema.parse(JSON.parse(written[0] ?? ''));
    expect(line).toMatchObject({
      level: 'info',
      message: 'callback stored',
      stage: 'production',
      provider: 'eiotclub',
      kind: 'refund',
      Callbacks: 1,
      Events: 1,
      Decisions: 1,
    });
    const named = line._aws.CloudWatchMetrics.map(({ Dimensions, Metrics }) => [
      Dimensions,
      Metrics.map(({ Name }) => Name),
    ]);
    expect(named).toEqual([
      [[['stage', 'provider']], ['Callbacks', 'Decisions']],
      [[['stage', 'provider', 'kind']], ['Events']],
    ]);
  });

  it('get a line of their own where the log line says otherwise or has the name already', () => {
    const written: string[] = [];
    const log = measuringLog(
      'production',
      () => at,
      (line) => written.push(line),
    );
    const events = (kind: string, value: number) => ({
      at,
      dimensions: { provider: 'eiotclub', kind },
      values: [{ name: 'Events', value, unit: 'Count' as const }],
    });
    log('info', 'callback stored', { provider: 'eiotclub', kind: 'refund' }, () => [
      events('refund', 2),
      events('recharge', 3),
      events('refund', 5),
    ]);
    log('warn', 'action waits', { why: 'no slot' });
    const lines = written.map((line): unknown => JSON.parse(line));
    expect(lines).toHaveLength(4);
    expect(lines).toMatchObject([
      { message: 'callback stored', kind: 'refund', Events: 2 },
      { kind: 'recharge', Events: 3 },
      { kind: 'refund', Events: 5 },
      { message: 'action waits', why: 'no slot' },
    ]);
    expect(lines.map((line) => Object.hasOwn(Object(line), '_aws'))).toEqual([true, true, true, false]);
  });

  it('count a refused proof apart from other refusals, and requests to unknown paths not at all', () => {
    const refused = (status: number, provider: string | null) =>
      receiveFigures({ status, reason: 'x', provider, events: [], duplicates: 0, decided: [] }, at).flatMap(
        ({ values }) => values.map(({ name }) => name),
      );
    expect(refused(401, 'eiotclub')).toEqual(['SignatureFailures']);
    expect(refused(413, 'eiotclub')).toEqual(['RejectedCallbacks']);
    expect(refused(404, null)).toEqual([]);
  });

  it('count a repeated callback as a callback and as a duplicate, and no event', () => {
    const lines = receiveFigures(
      { status: 200, reason: 'stored', provider: 'eiotclub', events: [], duplicates: 1, decided: [] },
      at,
    );
    expect(lines).toEqual([
      {
        at,
        dimensions: { provider: 'eiotclub' },
        values: [
          { name: 'Callbacks', value: 1, unit: 'Count' },
          { name: 'Duplicates', value: 1, unit: 'Count' },
        ],
      },
    ]);
  });
});
