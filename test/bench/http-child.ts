import { openHttpFront } from '../../infra/local/http-front.ts';
import { alertRequest } from './http-requests.ts';
import { lambdaContext } from './lambda-context.ts';

/*
 * Plays API Gateway and the Lambda runtime for one built bundle: a local HTTP server that hands each request on as payload
 * format 2.0, whole. Tells its parent the address, and, whenever asked, how much CPU it has used.
 */
const [bundle = ''] = process.argv.slice(2);
const loaded: {
  handler(event: unknown, context: unknown): Promise<{ readonly statusCode: number; readonly body: string }>;
} = await import(bundle);

const context = lambdaContext(() => 10_000);
/** What the gateway adds and the local front leaves out, since simhook does not read it. */
const { routeKey, rawQueryString, pathParameters, requestContext } = alertRequest('{}');

const front = await openHttpFront({ port: 0, host: '127.0.0.1' }, async (event) => {
  const whole = {
    ...event,
    routeKey,
    rawQueryString,
    pathParameters,
    requestContext: {
      ...requestContext,
      ...event.requestContext,
      http: { ...requestContext.http, ...event.requestContext.http },
    },
  };
  const { statusCode, body } = await loaded.handler(whole, context);
  return { statusCode, headers: {}, body };
});
process.send?.({ url: front.url });
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuUs: user + system });
});
process.once('disconnect', () => process.exit(0));
