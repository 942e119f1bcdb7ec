import type { ProviderOrder } from '../../shared/core/provider-order.ts';
import { ordersMax } from '../../shared/core/reconcile.ts';
import type { Subject } from '../../shared/core/subject.ts';
import { type DurationMs, milliseconds, seconds } from '../../shared/core/time.ts';
import type { OrderPage, ProviderClient } from '../../shared/providers/provider.ts';

/** Tries of one page; the reads are free, and the account's limit is shared with the work that pays. */
const triesMax = 4;

/** A wait longer than this is not worth a function's time: the provider is left until the next run. */
const waitMax = seconds(10);

/** Answers that no other SIM of this provider, or no later question about this SIM, would better. */
const neverListed = 'no-order-list';
const unaskable: ReadonlySet<string> = new Set(['cannot-tell', 'not-an-iccid', 'bad-cursor']);

/** One provider's order lists, asked at a pace that leaves most of the account's limit to the paid work. */
export interface OrderReader {
  readonly client: Pick<ProviderClient, 'listOrders'>;
  /** Least time between two questions. */
  readonly pace: DurationMs;
  readonly wait: (span: DurationMs) => Promise<void>;
  /** True when the run must end: no time, or no questions left. Asked before each page. */
  readonly isOver: () => boolean;
  /** Told of each question. */
  readonly asked: () => void;
}

/** Where the reading of one SIM's pages stands. */
export interface PartialList {
  readonly nextCursor: string;
  readonly orders: readonly ProviderOrder[];
}

export type ListResult =
  | { readonly kind: 'read'; readonly orders: readonly ProviderOrder[]; readonly whole: boolean }
  /** The run's time is over between two pages; `partial` is null before the first. */
  | { readonly kind: 'interrupted'; readonly partial: PartialList | null }
  /** The provider keeps no list that can be asked for. */
  | { readonly kind: 'no-list' }
  /** This SIM can't be asked about. */
  | { readonly kind: 'unaskable'; readonly code: string }
  | { readonly kind: 'unavailable'; readonly code: string; readonly message: string };

/** Reads all orders of one SIM, page by page, from where an earlier run stopped. */
export async function readOrders(
  subject: Subject,
  from: PartialList | null,
  reader: OrderReader,
): Promise<ListResult> {
  const orders = new Map((from?.orders ?? []).map((order) => [order.orderId, order]));
  let cursor = from?.nextCursor ?? null;
  for (;;) {
    if (reader.isOver()) {
      const partial = cursor === null ? null : { nextCursor: cursor, orders: [...orders.values()] };
      return { kind: 'interrupted', partial };
    }
    const page = await readPage(subject, cursor, reader);
    if (page.kind === 'unavailable') return refusalOf(page);
    const before = orders.size;
    for (const order of page.orders) orders.set(order.orderId, order);
    if (page.nextCursor === null) return { kind: 'read', orders: [...orders.values()], whole: true };
    // A list that is longer than we compare, or that does not go on, ends here and counts as cut off.
    if (orders.size > ordersMax || orders.size === before)
      return { kind: 'read', orders: [...orders.values()].slice(0, ordersMax), whole: false };
    cursor = page.nextCursor;
  }
}

async function readPage(
  subject: Subject,
  cursor: string | null,
  { client, pace, wait, asked }: OrderReader,
): Promise<OrderPage> {
  for (let tries = 1; ; tries++) {
    asked();
    const page = await client.listOrders(subject, cursor);
    if (page.kind === 'page' || tries >= triesMax || page.retryAfter === null || page.retryAfter > waitMax) {
      await wait(pace);
      return page;
    }
    await wait(milliseconds(Math.max(pace, page.retryAfter)));
  }
}

function refusalOf({ code, message }: Extract<OrderPage, { kind: 'unavailable' }>): ListResult {
  if (code === neverListed) return { kind: 'no-list' };
  return unaskable.has(code) ? { kind: 'unaskable', code } : { kind: 'unavailable', code, message };
}
