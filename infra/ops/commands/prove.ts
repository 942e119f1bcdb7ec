import type { Command } from 'commander';
import { formatMoney } from '../../../shared/core/money.ts';
import { days, epochMs } from '../../../shared/core/time.ts';
import type { EventRow } from '../../../shared/store/rows.ts';
import { simTimeline } from '../../../shared/store/sim-timeline.ts';
import { actionJson, stateText } from '../action-view.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import { eventJson, factsText, proofText } from '../event-view.ts';
import { failed, notFound } from '../failure.ts';
import { showMoment } from '../notation.ts';
import { type Check, type PurchaseProof, provePurchase } from '../purchase-proof.ts';
import type { OpsWorld } from '../world.ts';

/** `prove`: the whole chain of one purchase. */
export function addProveCommand(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'prove',
    description:
      'The whole chain of one purchase: callback, signature, decision, reservation, tries, order, charge.',
    examples: [
      'npx simhook prove act_0123456789abcdef0123456789abcdef',
      'npx simhook prove act_0123456789abcdef0123456789abcdef --json > proof.json',
    ],
    more: 'Each link is computed anew. The exit code is 1 when one is broken; what is not at hand is said to be unknown.',
  })
    .argument('<action-id>')
    .action(async (actionId: string, _options: object, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, async (connection) => {
        const proof = await provePurchase(connection, actionId, world);
        if (proof === null) throw notFound(`there is no action ${actionId}; npx simhook actions lists them`);
        await show(proof, await echoesOf(proof, connection), context);
        const broken = proof.checks.filter(({ result }) => result === 'broken');
        if (broken.length > 0)
          throw failed(`the chain of ${actionId} is broken: ${broken.map(({ name }) => name).join(', ')}`);
      });
    });
}

/** Callbacks read at most for a purchase's echoes. */
const echoesMax = 1_000;

/** The provider's own callbacks that report on this purchase, within 40 days. */
async function echoesOf(
  { row }: PurchaseProof,
  { table, onUnreadable }: Connection,
): Promise<readonly EventRow[]> {
  const { action } = row;
  const range = { from: action.createdAt, to: epochMs(action.createdAt + days(40)) };
  const echoes: EventRow[] = [];
  let read = 0;
  for await (const each of simTimeline(table, action.subject.key, range, 'oldest-first', onUnreadable)) {
    read += 1;
    if (read > echoesMax) break;
    if (each.kind !== 'event') continue;
    const reports = each.row.value.decisions.some(({ ownActionId }) => ownActionId === action.actionId);
    if (reports) echoes.push(each.row.value);
  }
  return echoes;
}

async function show(proof: PurchaseProof, echoes: readonly EventRow[], { out }: Context): Promise<void> {
  const { row, event, evidence, checks } = proof;
  await out.value({
    action: actionJson(row),
    event: event === null ? null : eventJson(event),
    callback: evidence,
    reports: echoes.map(eventJson),
    checks,
  });
  const { action } = row;
  const { paint } = out;
  const head = (text: string): Promise<void> => out.line(`\n${paint.bold(text)}`);
  await out.line(`${paint.bold(action.actionId)}  ${action.state.name}: ${stateText(action.state)}`);
  await head('1 callback');
  if (event !== null) {
    await out.line(
      `  ${showMoment(event.event.receivedAt)}  ${event.event.provider} ${event.event.providerType}: ${factsText(event.event.facts)}, ${proofText(event.event)}`,
    );
    await out.line(`  event ${event.event.eventId}, callback ${event.event.callbackId}`);
  }
  if (evidence !== null)
    await out.line(`  ${evidence.bytes} bytes at ${evidence.path}, SHA-256 ${evidence.sha256}`);
  await head('2 decision');
  await out.line(
    `  ${showMoment(action.createdAt)}  rule ${action.ruleId} of rules ${action.policyVersion}: ${action.kind} ${JSON.stringify(action.plan)}`,
  );
  await head('3 money');
  for (const entry of action.ledger) {
    await out.line(
      `  ${showMoment(entry.at)}  ${entry.kind.padEnd(8)} ${formatMoney(entry.amount)}${entry.estimated ? ' (estimated)' : ''}  ${entry.note}`,
    );
  }
  await head('4 tries');
  for (const attempt of action.attemptLog) {
    await out.line(
      `  ${showMoment(attempt.startedAt)}  ${attempt.kind} ${attempt.attemptNo}, fence ${attempt.fence}: ${attempt.result ?? 'no answer known'} ${attempt.detail}`,
    );
  }
  await head("5 provider's own reports");
  if (echoes.length === 0) await out.line('  none stored');
  for (const { event: echo } of echoes)
    await out.line(
      `  ${showMoment(echo.receivedAt)}  ${factsText(echo.facts)}, ${proofText(echo)}, ${echo.eventId}`,
    );
  if (row.notes.length > 0) await head('operators');
  for (const note of row.notes)
    await out.line(`  ${showMoment(note.at)}  ${note.by} ${note.did}: ${note.reason}`);
  await head('checks');
  for (const check of checks) await out.line(`  ${markOf(check, paint)}  ${check.name}: ${check.detail}`);
}

function markOf({ result }: Check, paint: Context['out']['paint']): string {
  const text = result.padEnd(7);
  if (result === 'holds') return paint.green(text);
  return result === 'broken' ? paint.red(text) : paint.yellow(text);
}
