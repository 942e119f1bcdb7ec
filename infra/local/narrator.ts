import pc from 'picocolors';
import type { ReceiveNotice } from '../../functions/receive/receive.ts';
import type { ReconcileNotice } from '../../functions/reconcile/reconcile-sim.ts';
import type { SilenceNotice } from '../../functions/sweep/watch-silence.ts';
import type { Action } from '../../shared/core/action.ts';
import type { Decided } from '../../shared/core/decide.ts';
import { formatMoney } from '../../shared/core/money.ts';
import type { WebhookEvent } from '../../shared/core/webhook-event.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { Watch } from './system.ts';

export type Print = (line: string) => void;

/** Tells what happens, one line per step: time, SIM, event, what was made of it, action, provider's order. */
export function narrator(print: Print, clock: Clock): Watch {
  const line = (sim: string, step: string, text: string): void => {
    const time = new Date(clock()).toISOString().slice(11, 19);
    print(`${pc.dim(time)}  ${sim.padEnd(22)} ${step.padEnd(10)} ${text}`);
  };
  return {
    received: (notice) => {
      if (notice.events.length === 0) {
        line('', pc.yellow('rejected'.padEnd(10)), `${notice.status} ${notice.reason}`);
        return;
      }
      for (const event of notice.events)
        line(simOf(event), 'received', `${describe(event)}, ${proofOf(event, notice)}`);
    },
    decided: (event, decided) => line(simOf(event), 'decided', `${event.facts.kind}: ${verdictOf(decided)}`),
    acted: (action, what) => line(action.subject.simId, ...actionText(action, what)),
    reconciled: (notice) => line(...reconcileText(notice)),
    silence: (notice) => line('', ...silenceText(notice)),
  };
}

function simOf(event: WebhookEvent): string {
  return event.subject?.simId ?? '-';
}

function describe(event: WebhookEvent): string {
  const { facts } = event;
  if (facts.kind === 'usage-alert')
    return `${event.provider} ${event.providerType}: usage-alert ${facts.alert}`;
  if (facts.kind === 'order-status') return `${event.provider} ${event.providerType}: order ${facts.status}`;
  return `${event.provider} ${event.providerType}: ${facts.kind}`;
}

function proofOf(event: WebhookEvent, notice: ReceiveNotice): string {
  const again = notice.duplicates > 0 ? `, ${notice.duplicates} of them again` : '';
  return event.proof.kind === 'signed'
    ? `signature good (${event.proof.variant})${again}`
    : `${event.proof.kind}${again}`;
}

function verdictOf(decided: Decided): string {
  const { verdicts, ownActionId } = decided.decision;
  const own = ownActionId === null ? '' : pc.cyan(`reports on ${shortId(ownActionId)}; `);
  const acts = verdicts.find((v) => v.verdict === 'act');
  if (acts?.verdict === 'act') return `${own}rule ${pc.bold(acts.ruleId)} → action ${shortId(acts.actionId)}`;
  const near = verdicts.find((v) => v.verdict === 'pass' && v.reason !== 'no-match');
  return `${own}${near?.verdict === 'pass' ? `rule ${near.ruleId} passes: ${near.reason}` : 'no rule asks for anything'}`;
}

function actionText(action: Action, what: string): [string, string] {
  const name = `${action.kind} ${shortId(action.actionId)}`;
  const { state } = action;
  if (what === 'claimed')
    return [
      'claimed',
      `${name}: ${formatMoney(action.maxCost)} reserved, calling ${action.subject.provider}`,
    ];
  if (what.startsWith('confirmed')) return ['confirmed', `${name}: ${what}`];
  if (state.name === 'succeeded') {
    const charged = formatMoney({ amountMinor: action.money.chargedMinor, currency: action.money.currency });
    const adopted = state.adopted ? ', found at the provider' : '';
    return [
      pc.green('bought'.padEnd(10)),
      `${name}: provider order ${pc.bold(state.providerOrderId ?? '?')}, ${charged} charged${adopted}`,
    ];
  }
  if (state.name === 'parked')
    return [pc.yellow('parked'.padEnd(10)), `${name}: ${state.reason}: ${state.detail}`];
  if (state.name === 'unknown')
    return [pc.yellow('unknown'.padEnd(10)), `${name}: ${state.code}; the provider's records will tell`];
  if (state.name === 'refused') return ['refused', `${name}: ${state.code} ${state.message}`];
  return [state.name, name];
}

function reconcileText(notice: ReconcileNotice): [string, string, string] {
  switch (notice.kind) {
    case 'finding': {
      const { simId, kind, detail, findingId } = notice.finding;
      const step = notice.what === 'opened' ? pc.yellow('finding'.padEnd(10)) : `finding ${notice.what}`;
      return [simId, step, `${shortId(findingId)} ${kind}: ${detail}`];
    }
    case 'event':
      return [
        simOf(notice.event),
        'found',
        `${describe(notice.event)}; its callback never came, the provider's records show it`,
      ];
    case 'booked':
      return [
        notice.simId,
        'booked',
        `${shortId(notice.actionId)}: the ${notice.what} that the provider's records show`,
      ];
    default: {
      const never: never = notice;
      throw new Error(`unknown notice: ${JSON.stringify(never)}`);
    }
  }
}

function silenceText(notice: SilenceNotice): [string, string] {
  if (notice.kind === 'heard-again') return ['heard', `${notice.provider} is heard again`];
  const { quietFor, usual } = notice.silence;
  const inMinutes = (span: number): string => `${Math.round(span / 60_000)} minutes`;
  return [
    pc.red('silent'.padEnd(10)),
    `${notice.provider} has sent nothing for ${inMinutes(quietFor)}; its usual pause is at most ${inMinutes(usual)}`,
  ];
}

function shortId(id: string): string {
  return id.slice(0, 12);
}
