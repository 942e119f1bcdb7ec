import { BatchGetItemCommand } from '@aws-sdk/client-dynamodb';
import { keyText } from './change-rules.ts';
import { type Attributes, keyAttributes, readAttributes } from './dynamo-item.ts';
import { pauseMs, triesMax, withRetries } from './dynamo-retry.ts';
import type { DynamoDeps } from './dynamo-write.ts';
import { StoreError } from './errors.ts';
import type { Item, Key } from './table.ts';

/**
 * Reads at most 100 items, strongly consistent, in the order of `keys`. DynamoDB answers a part when the items have
 * more than 16 MB together or it is throttled, so the rest is asked for again while that gets anywhere. Source:
 * DynamoDB API reference, BatchGetItem, UnprocessedKeys.
 */
export async function readMany(deps: DynamoDeps, keys: readonly Key[]): Promise<readonly (Item | null)[]> {
  const found = new Map<string, Item>();
  // The same key twice in one request is refused.
  const distinct = [...new Map(keys.map((key) => [keyText(key), key])).values()];
  let missing: Attributes[] = distinct.map(keyAttributes);
  for (let idle = 0; missing.length > 0; ) {
    const asked = missing.length;
    missing = await readSome(deps, missing, found);
    // Each round that reads something leaves fewer keys, so the rounds end.
    idle = missing.length < asked ? 0 : idle + 1;
    if (idle >= triesMax) {
      throw new StoreError(
        'unavailable',
        `DynamoDB left ${missing.length} of ${distinct.length} items unread ${triesMax} times; try again later`,
      );
    }
    if (idle > 0) await deps.retry.sleep(pauseMs(deps.retry.random, idle));
  }
  return keys.map((key) => found.get(keyText(key)) ?? null);
}

async function readSome(
  deps: DynamoDeps,
  Keys: Attributes[],
  found: Map<string, Item>,
): Promise<Attributes[]> {
  const RequestItems = { [deps.tableName]: { Keys, ConsistentRead: true } };
  const answer = await withRetries(deps.retry, () =>
    deps.client.send(new BatchGetItemCommand({ RequestItems })),
  );
  for (const attributes of answer.Responses?.[deps.tableName] ?? []) {
    const { item } = readAttributes(attributes);
    found.set(keyText(item), item);
  }
  return answer.UnprocessedKeys?.[deps.tableName]?.Keys ?? [];
}
