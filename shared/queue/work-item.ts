import { z } from 'zod';
import type { WorkMessage } from './work-queue.ts';

/** What a queue message says: which event or action to look at, and nothing else. */
export const workItemSchema = z.object({
  v: z.literal(1),
  kind: z.enum(['event', 'action']),
  id: z.string().regex(/^[a-z]{3}_[0-9a-f]{8,64}$/),
  correlationId: z.string().max(80),
});
export type WorkItem = Omit<z.infer<typeof workItemSchema>, 'v'>;

/** `groupId` is at most 128 characters of what SQS allows; anything else in the SIM's key becomes a hyphen. */
export function toMessage(item: WorkItem, group: string, delaySec = 0): WorkMessage {
  const { kind, id, correlationId } = item;
  return {
    body: JSON.stringify({ v: 1, kind, id, correlationId }),
    groupId: group.replace(/[^0-9A-Za-z.:_-]/g, '-').slice(0, 128) || 'none',
    delaySec,
  };
}

export type ParsedWorkItem =
  | { readonly ok: true; readonly item: WorkItem }
  | { readonly ok: false; readonly detail: string };

/** Reads a message body; a body that isn't a work item is told apart from one that is, never thrown. */
export function parseWorkItem(body: string): ParsedWorkItem {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { ok: false, detail: `the message is not JSON (${body.length} characters)` };
  }
  const parsed = workItemSchema.safeParse(json);
  if (!parsed.success) return { ok: false, detail: z.prettifyError(parsed.error) };
  const { v: _version, ...item } = parsed.data;
  return { ok: true, item };
}
