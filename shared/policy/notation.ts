import { z } from 'zod';
import { type Money, parseMajorAmount } from '../core/money.ts';
import { type DurationMs, days, durationMs, hours, minutes, seconds } from '../core/time.ts';

const units = { ms: durationMs, s: seconds, m: minutes, h: hours, d: days } as const;

/** A duration as people write it: `90s`, `30m`, `12h`, `7d`, `250ms`. */
export const durationSchema = z
  .string()
  .regex(/^\d{1,6}(ms|s|m|h|d)$/, 'a duration is a number with a unit: 250ms, 90s, 30m, 12h or 7d')
  .transform((text): DurationMs => {
    const match = /^(\d+)(ms|s|m|h|d)$/.exec(text);
    const unit = match?.[2] as keyof typeof units;
    return units[unit](Number(match?.[1]));
  });

/** An amount as people write it: `5.00 USD`. */
export const moneySchema = z.string().transform((text, context): Money => {
  const match = /^(\d{1,12}(?:\.\d{1,4})?) ([A-Z]{3})$/.exec(text);
  const amount = match?.[1] && match[2] ? parseMajorAmount(match[1], match[2]) : null;
  if (amount !== null) return amount;
  context.addIssue({ code: 'custom', message: 'an amount is a number and a currency, such as "5.00 USD"' });
  return z.NEVER;
});
