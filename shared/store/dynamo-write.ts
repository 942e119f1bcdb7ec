import {
  type CancellationReason,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { assertChanges } from './change-rules.ts';
import {
  type Attributes,
  itemAttributes,
  keyAttributes,
  type MarkedItem,
  readAttributes,
} from './dynamo-item.ts';
import { type DynamoRetry, explainValidation, withRetries } from './dynamo-retry.ts';
import { StoreError } from './errors.ts';
import { markBytes } from './item-size.ts';
import type { Change, Item, Key, WriteResult } from './table.ts';
import { attributeNames, dataPrefix } from './table-schema.ts';

export interface DynamoDeps {
  readonly client: DynamoDBClient;
  readonly tableName: string;
  readonly retry: DynamoRetry;
}

type PutChange = Extract<Change, { readonly kind: 'insert' | 'replace' }>;
type AddChange = Extract<Change, { readonly kind: 'add' }>;
type CheckChange = Extract<Change, { readonly kind: 'check' }>;

/** An expression with its names and values. */
interface Guarded {
  readonly ConditionExpression: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues?: Attributes;
}

const done: WriteResult = { ok: true };

/**
 * One insert, replace, add or check takes the cheap call; everything else is a transaction, which costs twice. A
 * delete is always a transaction: it leaves no mark behind by which a repeated call could know its own work, while
 * a transaction has its token.
 */
export async function writeToDynamo(deps: DynamoDeps, changes: readonly Change[]): Promise<WriteResult> {
  assertChanges(changes);
  const only = changes.length === 1 ? changes[0] : undefined;
  switch (only?.kind) {
    case 'insert':
    case 'replace':
      return putOne(deps, only);
    case 'add':
      return addOne(deps, only);
    case 'check':
      return checkOne(deps, only);
    default:
      return writeTogether(deps, changes);
  }
}

/**
 * A lost reply, seen by the try that follows:
 *
 *   we        put version 2, mark A ──> stored ──x (reply lost)
 *   we again  put version 2, mark A ──> refused, found version 2 with mark A: our own write, so it is done
 *
 * Found version 2 with another mark: somebody else won. A later version, or nothing: ours may have been there and
 * been overwritten since, so nobody can tell and the caller has to look.
 */
async function putOne(deps: DynamoDeps, change: PutChange): Promise<WriteResult> {
  const version = change.kind === 'insert' ? 1 : change.ifVersion + 1;
  const writeId = newMark(deps);
  const input = {
    TableName: deps.tableName,
    Item: itemAttributes(change.item, version, writeId),
    ...guardOf(change),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
  };
  return withRetries(deps.retry, async ({ lost }) => {
    const refusal = await refusalOf(() => deps.client.send(new PutItemCommand(input)));
    if (refusal === 'none') return done;
    const { found } = refusal;
    if (lost && found?.writeId === writeId) return done;
    if (lost && (found === null || found.item.version > version)) throw cannotTell(change.item);
    return refused(found?.item ?? null);
  });
}

/** An add that may have been carried out is never repeated: it would count twice. Its mark tells, or nobody can. */
async function addOne(deps: DynamoDeps, change: AddChange): Promise<WriteResult> {
  const addId = newMark(deps);
  const input = {
    TableName: deps.tableName,
    ...addUpdate(change, addId),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
  };
  return withRetries(deps.retry, async ({ lost }) => {
    if (lost) {
      const stored = await readMarked(deps, change.key);
      if (stored?.addId === addId) return done;
      throw cannotTell(change.key);
    }
    const refusal = await refusalOf(() => deps.client.send(new UpdateItemCommand(input)));
    if (refusal === 'none') return done;
    const found = refusal.found?.item ?? null;
    assertCounters(change, found);
    return refused(found);
  });
}

async function checkOne(deps: DynamoDeps, change: CheckChange): Promise<WriteResult> {
  const found = await withRetries(deps.retry, () => readMarked(deps, change.key));
  return (found?.item.version ?? null) === change.ifVersion ? done : refused(found?.item ?? null);
}

/** The token makes a repeated transaction one transaction, for ten minutes. Source: DynamoDB API reference, TransactWriteItems. */
async function writeTogether(deps: DynamoDeps, changes: readonly Change[]): Promise<WriteResult> {
  const mark = newMark(deps);
  const command = {
    ClientRequestToken: deps.retry.random.hex(16),
    TransactItems: changes.map((change) => transactItem(deps.tableName, change, mark)),
  };
  return withRetries(deps.retry, async () => {
    try {
      await deps.client.send(new TransactWriteItemsCommand(command));
      return done;
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) throw error;
      return judgeCancelled(changes, error);
    }
  });
}

/** Throws the error again unless every reason is a guard that did not hold. */
function judgeCancelled(changes: readonly Change[], error: TransactionCanceledException): WriteResult {
  const reasons = error.CancellationReasons ?? [];
  const invalid = reasons.find(({ Code }) => Code === 'ValidationError');
  if (invalid !== undefined) {
    throw (
      explainValidation(invalid.Message ?? '', error) ??
      new Error(`DynamoDB: ${invalid.Message}`, { cause: error })
    );
  }
  const guardsOnly = reasons.every(({ Code }) => Code === 'None' || Code === 'ConditionalCheckFailed');
  const failed = changes.flatMap((change, index) => {
    const reason = reasons[index];
    return reason?.Code === 'ConditionalCheckFailed' ? [{ index, found: foundBy(change, reason) }] : [];
  });
  // A conflict hides which guards would have held, so it is tried again.
  if (!guardsOnly || failed.length === 0) throw error;
  return { ok: false, failed };
}

function foundBy(change: Change, reason: CancellationReason): Item | null {
  const found = markedOf(reason.Item)?.item ?? null;
  if (change.kind === 'add') assertCounters(change, found);
  return found;
}

function transactItem(TableName: string, change: Change, mark: string): TransactWriteItem {
  const ReturnValuesOnConditionCheckFailure = 'ALL_OLD';
  switch (change.kind) {
    case 'insert':
    case 'replace': {
      const version = change.kind === 'insert' ? 1 : change.ifVersion + 1;
      const Item = itemAttributes(change.item, version, mark);
      return { Put: { TableName, Item, ...guardOf(change), ReturnValuesOnConditionCheckFailure } };
    }
    case 'check':
    case 'delete': {
      const guarded = { TableName, Key: keyAttributes(change.key), ...guardOf(change) };
      return change.kind === 'check'
        ? { ConditionCheck: { ...guarded, ReturnValuesOnConditionCheckFailure } }
        : { Delete: { ...guarded, ReturnValuesOnConditionCheckFailure } };
    }
    case 'add':
      return { Update: { TableName, ...addUpdate(change, mark), ReturnValuesOnConditionCheckFailure } };
    default: {
      const never: never = change;
      throw new TypeError(`unknown change ${JSON.stringify(never)}`);
    }
  }
}

function guardOf(change: Exclude<Change, AddChange>): Guarded {
  const ifVersion = change.kind === 'insert' ? null : change.ifVersion;
  if (ifVersion === null) {
    return {
      ConditionExpression: 'attribute_not_exists(#pk)',
      ExpressionAttributeNames: { '#pk': attributeNames.pk },
    };
  }
  return {
    ConditionExpression: '#version = :ifVersion',
    ExpressionAttributeNames: { '#version': attributeNames.version },
    ExpressionAttributeValues: { ':ifVersion': { N: String(ifVersion) } },
  };
}

/** Each limit is a condition on the sum before: at most `atMost - delta`, or no sum yet where `delta` itself fits. */
function addUpdate(change: AddChange, addId: string) {
  const names: Record<string, string> = {
    '#version': attributeNames.version,
    '#addId': attributeNames.addId,
  };
  const values: Attributes = { ':first': { N: '1' }, ':addId': { S: addId } };
  const additions: string[] = [];
  const conditions: string[] = [];
  change.adds.forEach(({ attribute, delta, atMost }, n) => {
    names[`#a${n}`] = dataPrefix + attribute.toWellFormed();
    values[`:d${n}`] = { N: String(delta) };
    additions.push(`#a${n} :d${n}`);
    if (atMost === null) return;
    values[`:room${n}`] = { N: String(atMost - delta) };
    const fits = `#a${n} <= :room${n}`;
    conditions.push(delta <= atMost ? `(attribute_not_exists(#a${n}) OR ${fits})` : fits);
  });
  return {
    Key: keyAttributes(change.key),
    UpdateExpression: `ADD ${additions.join(', ')} SET #addId = :addId, #version = if_not_exists(#version, :first)`,
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
    ...(conditions.length === 0 ? {} : { ConditionExpression: conditions.join(' AND ') }),
  };
}

/** A counter that is not a number fails its condition as if it were full; that would hide the damage. */
function assertCounters(change: AddChange, found: Item | null): void {
  for (const { attribute } of change.adds) {
    if (found === null || !Object.hasOwn(found.data, attribute)) continue;
    if (typeof found.data[attribute] === 'number') continue;
    throw new StoreError(
      'corrupt-item',
      `the attribute ${attribute} of ${found.pk} / ${found.sk} is not a number, so nothing can be added to it`,
    );
  }
}

type Refusal = 'none' | { readonly found: MarkedItem | null };

async function refusalOf(send: () => Promise<unknown>): Promise<Refusal> {
  try {
    await send();
    return 'none';
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    return { found: markedOf(error.Item) };
  }
}

function markedOf(attributes: Attributes | undefined): MarkedItem | null {
  return attributes === undefined || Object.keys(attributes).length === 0 ? null : readAttributes(attributes);
}

/** One strongly consistent read, tried once. */
export async function readMarked(deps: DynamoDeps, key: Key): Promise<MarkedItem | null> {
  const { Item } = await deps.client.send(
    new GetItemCommand({ TableName: deps.tableName, Key: keyAttributes(key), ConsistentRead: true }),
  );
  return markedOf(Item);
}

function refused(found: Item | null): WriteResult {
  return { ok: false, failed: [{ index: 0, found }] };
}

function newMark(deps: DynamoDeps): string {
  return deps.retry.random.hex(markBytes / 2);
}

function cannotTell(key: Key): StoreError {
  return new StoreError(
    'unavailable',
    `the answer to a write of ${key.pk} / ${key.sk} was lost and the item has changed since; read it to see what happened`,
  );
}
