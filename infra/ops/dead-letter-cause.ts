import { parseWorkItem, type WorkItem } from '../../shared/queue/work-item.ts';
import { loadAction } from '../../shared/store/action-store.ts';
import { loadEvent } from '../../shared/store/event-store.ts';
import type { Table } from '../../shared/store/table.ts';
import { stateText } from './action-view.ts';

/** What a dead letter is worth now: a message is a hint, so the work that it names tells. */
export type LetterVerdict =
  /** The work is finished: the letter can go. */
  | 'done'
  /** The work waits for a human: the letter would change nothing. */
  | 'waits'
  /** The work is still to be done: worth sending again. */
  | 'open'
  /** The work is not stored (any more). */
  | 'unknown-work'
  /** No message of ours. */
  | 'unreadable';

export const letterVerdicts: readonly LetterVerdict[] = [
  'done',
  'waits',
  'open',
  'unknown-work',
  'unreadable',
];

export interface LetterCause {
  readonly verdict: LetterVerdict;
  readonly item: WorkItem | null;
  readonly provider: string | null;
  /** One line for people: what became of the work, and what its last failure was where it is known. */
  readonly text: string;
}

/** Looks at the work that a dead letter names. */
export async function causeOf(body: string, table: Table): Promise<LetterCause> {
  const parsed = parseWorkItem(body);
  if (!parsed.ok) {
    return {
      verdict: 'unreadable',
      item: null,
      provider: null,
      text: `no work item: ${parsed.detail.split('\n')[0]}`,
    };
  }
  return parsed.item.kind === 'event' ? eventCause(parsed.item, table) : actionCause(parsed.item, table);
}

async function eventCause(item: WorkItem, table: Table): Promise<LetterCause> {
  const row = await loadEvent(table, item.id);
  if (row === null)
    return { verdict: 'unknown-work', item, provider: null, text: 'the event is not stored (any more)' };
  const { event, state, decisions, sweeps } = row.value;
  const { provider } = event;
  if (state === 'decided') {
    const at = decisions.at(-1)?.decidedAt;
    const when = at === undefined ? '' : ` ${new Date(at).toISOString().slice(0, 19)}Z`;
    return { verdict: 'done', item, provider, text: `the event was decided${when}` };
  }
  const text = `the event is not decided: deciding failed each time; swept ${sweeps} times since`;
  return { verdict: 'open', item, provider, text };
}

async function actionCause(item: WorkItem, table: Table): Promise<LetterCause> {
  const row = await loadAction(table, item.id);
  if (row === null)
    return { verdict: 'unknown-work', item, provider: null, text: 'the action is not stored' };
  const { action } = row.value;
  const { state, subject } = action;
  const { provider } = subject;
  const text = `the action is ${state.name}: ${stateText(state)}`;
  switch (state.name) {
    case 'succeeded':
    case 'refused':
    case 'cancelled':
      return { verdict: 'done', item, provider, text };
    case 'held':
    case 'parked':
      return { verdict: 'waits', item, provider, text };
    case 'planned':
    case 'running':
    case 'unknown':
    case 'verifying': {
      const last = action.attemptLog.at(-1);
      const detail =
        last === undefined ? '' : `; last try: ${last.result ?? 'no answer known'} ${last.detail}`.trimEnd();
      return { verdict: 'open', item, provider, text: `${text}${detail}` };
    }
    default: {
      const never: never = state;
      throw new Error(`unknown state: ${JSON.stringify(never)}`);
    }
  }
}
