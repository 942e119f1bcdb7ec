import { at, csssBody, eiotclubBody, type Params, postJson } from '../../provider-simulator/test-client.ts';
import { type CaseProvider, simIds } from './scenario.ts';

/** The work message of the other approaches: what to buy, and an id that stays the same when it comes again. */
export interface OrderMessage {
  readonly messageId: string;
  readonly provider: CaseProvider;
  readonly simId: string;
}

export function orderMessage(provider: CaseProvider, messageId: string): OrderMessage {
  return { messageId, provider, simId: simIds[provider] };
}

/**
 * The paid call as a user of the other approaches writes it: one signed POST, the order's number out of the reply, an
 * error for everything else. EIOTCLUB's order number is derived from the message, the best that can be done there.
 */
export async function purchase(
  baseUrl: string,
  message: OrderMessage,
): Promise<{ readonly orderId: string }> {
  const reply =
    message.provider === 'eiotclub'
      ? await postJson(`${baseUrl}/api/v3/package/orderPackage`, eiotclubBody(eiotclubOrder(message)))
      : await postJson(
          `${baseUrl}/package/orderPackage`,
          csssBody({ ...csssOrder, device_id: message.simId }),
        );
  const orderId = at(reply.json, 'data.orderId') ?? at(reply.json, 'data.order_id');
  if (typeof orderId === 'string' || typeof orderId === 'number') return { orderId: String(orderId) };
  throw new Error(`the provider answered ${String(at(reply.json, 'code'))}`);
}

function eiotclubOrder({ messageId, simId }: OrderMessage): Params {
  return { iccid: simId, packageCode: 'PKG001', outTradeNo: messageId };
}

/** The fields of seed 002. */
const csssOrder: Params = {
  package_code: 'DP20190726001274',
  package_name: 'C_M_0_P_中国20M不限速月套餐',
  package_type: '2',
  order_period: '1',
  global_order: '0',
  is_open: '0',
  pay_amount: '3.00',
  pay_rst: '1',
  pay_type: '2',
  test_flow: '0',
  test_flow_flag: '0',
};
