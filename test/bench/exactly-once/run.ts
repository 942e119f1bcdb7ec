import { textTable } from '../text-table.ts';
import { durableAtMostOnce, durableDefault, durableNoRetry } from './durable.ts';
import { powertools } from './powertools.ts';
import {
  type Approach,
  type CaseProvider,
  caseProviders,
  describeResult,
  type Fault,
  faults,
  type OpenApproach,
  type Persistence,
  persistences,
  type Result,
} from './scenario.ts';
import { simhook } from './simhook.ts';

/*
 * Side by side: one paid call, struck by a fault after the provider has accepted, with simhook and with what a user
 * would otherwise build on. Purchases are counted in the books of the provider simulator, which all reach over HTTP.
 */

const approaches: readonly Approach[] = [
  simhook,
  powertools,
  durableDefault,
  durableAtMostOnce,
  durableNoRetry,
];

const faultTexts: Readonly<Record<Fault, string>> = {
  'throws-after-acceptance': 'handler throws after acceptance',
  'times-out-in-mid-call': 'function times out in mid-call',
  'success-not-written': 'success record not written',
};
const providerTexts: Readonly<Record<CaseProvider, string>> = {
  'linksfield-csss': 'Linksfield CSSS order: the provider has no idempotency key',
  eiotclub:
    'EIOTCLUB order: the provider refuses a second order with the same number, which everybody reuses here',
};
const persistenceTexts: Readonly<Record<(typeof persistences)[number], string>> = {
  once: 'once',
  persists: 'each try',
};

interface Row {
  readonly approach: Approach;
  readonly provider: CaseProvider;
  readonly fault: Fault;
  readonly persistence: Persistence;
  readonly result: Result;
}

async function runApproach(approach: Approach): Promise<readonly Row[]> {
  const open = await approach.open();
  const rows: Row[] = [];
  try {
    for (const provider of caseProviders) {
      await control(approach, open, provider);
      for (const fault of faults) {
        for (const persistence of persistences) {
          const result = await open.run({ provider, fault, persistence });
          if (result.struck === 0) throw new Error(`${approach.name}: the fault ${fault} never struck`);
          rows.push({ approach, provider, fault, persistence, result });
        }
      }
    }
  } finally {
    await open.close();
  }
  return rows;
}

/** Without a fault everybody buys once; an approach that doesn't is set up wrongly here, and proves nothing. */
async function control(approach: Approach, open: OpenApproach, provider: CaseProvider): Promise<void> {
  const result = await open.run({ provider, fault: 'throws-after-acceptance', persistence: 'never' });
  if (result.purchases === 1 && result.recorded === 1 && result.end === 'succeeded') return;
  throw new Error(`${approach.name} without a fault at ${provider}: ${JSON.stringify(result)}`);
}

/** Tries that go on beyond what is watched show as `8+`. */
function purchasesText({ purchases, end }: Result): string {
  return end === 'stuck' ? `${purchases}+` : String(purchases);
}

function show(provider: CaseProvider, rows: readonly Row[]): void {
  const header = ['fault', 'strikes', 'approach', 'bought', 'left behind'];
  const lines = faults.flatMap((fault) =>
    persistences.flatMap((persistence) =>
      rows
        .filter((row) => row.provider === provider && row.fault === fault && row.persistence === persistence)
        .map(({ approach, result }, i) => [
          i === 0 ? faultTexts[fault] : '',
          i === 0 ? persistenceTexts[persistence] : '',
          approach.name,
          purchasesText(result),
          describeResult(result),
        ]),
    ),
  );
  process.stdout.write(`\n${providerTexts[provider]}\n\n${textTable(header, lines, 'left')}\n`);
}

const rows: Row[] = [];
for (const approach of approaches) {
  process.stdout.write(`${approach.name}: ${approach.configuration}\n`);
  rows.push(...(await runApproach(approach)));
}
for (const provider of caseProviders) show(provider, rows);
