import {
  AwsError,
  AwsJsonClient,
  type ClientConfig,
  commandOf,
  type ErrorFields,
  type Service,
} from './aws-json-client.ts';

/** What the functions use of `@aws-sdk/client-dynamodb`. A name that is missing here stops the build of the bundles. */

export const BatchGetItemCommand = commandOf('BatchGetItem');
export const GetItemCommand = commandOf('GetItem');
export const PutItemCommand = commandOf('PutItem');
export const QueryCommand = commandOf('Query');
export const TransactWriteItemsCommand = commandOf('TransactWriteItems');
export const UpdateItemCommand = commandOf('UpdateItem');

/** A guard of a single write did not hold; with the item found in its place, where the call asked for it. */
export class ConditionalCheckFailedException extends AwsError {
  readonly Item: unknown;
  constructor(fields: ErrorFields) {
    super(fields);
    this.Item = fields.body.Item;
  }
}

/** A transaction did not happen; with the reason of each of its parts. */
export class TransactionCanceledException extends AwsError {
  readonly CancellationReasons: unknown;
  constructor(fields: ErrorFields) {
    super(fields);
    this.CancellationReasons = fields.body.CancellationReasons;
  }
}

/** Source: DynamoDB developer guide, "DynamoDB low-level API": request format, data type descriptors, binary as Base64. */
const service: Service = {
  name: 'dynamodb',
  targetPrefix: 'DynamoDB_20120810',
  contentType: 'application/x-amz-json-1.0',
  errors: { ConditionalCheckFailedException, TransactionCanceledException },
  stringify: (input) => JSON.stringify(input, bytesToBase64),
  parse: (text) => JSON.parse(text, base64ToBytes),
};

/** `this` is asked, because a Buffer has turned itself into a list of numbers before it gets here. */
function bytesToBase64(this: unknown, key: string, value: unknown): unknown {
  if (key !== 'B' || typeof value !== 'object') return value;
  const bytes: unknown = Reflect.get(Object(this), key);
  return bytes instanceof Uint8Array ? Buffer.from(bytes).toString('base64') : value;
}

/** A text under the name B is always bytes: attributes and members that are called B hold an object. */
function base64ToBytes(key: string, value: unknown): unknown {
  return key === 'B' && typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : value;
}

export class DynamoDBClient extends AwsJsonClient {
  constructor(config: ClientConfig) {
    super(service, config);
  }
}
