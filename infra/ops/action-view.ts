import type { Action, ActionState } from '../../shared/core/action.ts';
import { formatMoney, type Money } from '../../shared/core/money.ts';
import type { ActionRow } from '../../shared/store/rows.ts';
import { isoMoment, showMoment } from './notation.ts';
import type { Paint } from './output.ts';

/** Where an action stands and why, in one phrase. */
export function stateText(state: ActionState): string {
  switch (state.name) {
    case 'planned':
      return `due ${showMoment(state.dueAt)}`;
    case 'held':
      return state.reason;
    case 'running':
      return `since ${showMoment(state.startedAt)}, lease until ${showMoment(state.leaseUntil)}`;
    case 'unknown':
      return `${state.code}; the provider is asked ${showMoment(state.verifyAt)}`;
    case 'verifying':
      return `${state.code}; the provider is being asked`;
    case 'parked':
      return `${state.reason}: ${state.detail}${state.mayHaveBought ? '; IT MAY HAVE BOUGHT' : ''}`;
    case 'succeeded':
      return `order ${state.providerOrderId ?? '(no number)'}${state.adopted ? ', adopted' : ''}`;
    case 'refused':
      return `${state.code} ${state.message}`;
    case 'cancelled':
      return state.reason;
    default: {
      const never: never = state;
      throw new Error(`unknown state: ${JSON.stringify(never)}`);
    }
  }
}

/** The state's name in the colour of its urgency. */
export function paintState(name: ActionState['name'], paint: Paint): string {
  if (name === 'succeeded') return paint.green(name);
  if (name === 'parked') return paint.red(name);
  if (name === 'held' || name === 'unknown' || name === 'verifying') return paint.yellow(name);
  return name === 'cancelled' || name === 'refused' ? paint.dim(name) : paint.cyan(name);
}

/** What the action holds of somebody's money: charged, else reserved, else the most that it may cost. */
export function moneyText(action: Action): string {
  const { currency, chargedMinor, reservedMinor, refundedMinor } = action.money;
  const text = (amountMinor: number): string => formatMoney({ amountMinor, currency });
  if (chargedMinor > 0)
    return `${text(chargedMinor)} charged${refundedMinor > 0 ? `, ${text(refundedMinor)} back` : ''}`;
  return reservedMinor > 0 ? `${text(reservedMinor)} reserved` : `at most ${formatMoney(action.maxCost)}`;
}

export function moneyJson({ amountMinor, currency }: Money): object {
  return { amountMinor, currency, text: formatMoney({ amountMinor, currency }) };
}

/** An action for machines: attempts, ledger and notes with it. Times are ISO 8601. */
export function actionJson(row: ActionRow): object {
  const { action, notes, sweeps } = row;
  return {
    ...action,
    createdAt: isoMoment(action.createdAt),
    stateSince: isoMoment(action.stateSince),
    absentSince: isoMoment(action.absentSince),
    state: stateJson(action.state),
    sentWindow:
      action.sentWindow === null
        ? null
        : { first: isoMoment(action.sentWindow.first), last: isoMoment(action.sentWindow.last) },
    ledger: action.ledger.map((entry) => ({ ...entry, at: isoMoment(entry.at) })),
    attemptLog: action.attemptLog.map((attempt) => ({
      ...attempt,
      startedAt: isoMoment(attempt.startedAt),
      endedAt: isoMoment(attempt.endedAt),
    })),
    notes: notes.map((note) => ({ ...note, at: isoMoment(note.at) })),
    sweeps,
  };
}

function stateJson(state: ActionState): object {
  switch (state.name) {
    case 'planned':
      return { ...state, dueAt: isoMoment(state.dueAt) };
    case 'running':
      return { ...state, leaseUntil: isoMoment(state.leaseUntil), startedAt: isoMoment(state.startedAt) };
    case 'unknown':
      return { ...state, verifyAt: isoMoment(state.verifyAt) };
    case 'verifying':
      return { ...state, leaseUntil: isoMoment(state.leaseUntil) };
    default:
      return state;
  }
}
