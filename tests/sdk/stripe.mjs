// Stripe's own library for Node as a client of our sandbox. Every assertion is about what an integrator
// sees; nothing here knows how the sandbox is made.

import assert from 'node:assert/strict';
import http from 'node:http';
import Stripe from 'stripe';

const port = Number(process.env.SANDBOX_PORT);
const options = { host: '127.0.0.1', port, protocol: 'http', maxNetworkRetries: 0, telemetry: false };
const stripe = new Stripe('sk_test_sandbox', options);
const control = `http://127.0.0.1:${port}`;

const refused = (call, kind, code) => assert.rejects(call, (error) => {
  assert.equal(error.type, kind);
  if (code) assert.equal(error.code, code);
  assert.ok(error.requestId);
  return true;
});

async function effects(kind) {
  const { effects } = await (await fetch(`${control}/_effects`)).json();
  return effects.filter((effect) => effect.kind === kind);
}

async function plan(path, fault) {
  const body = JSON.stringify([{ path, fault }]);
  const planned = await fetch(`${control}/_faults`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  assert.equal(planned.status, 204);
}

// A payment is made, confirmed, read whole, and refunded, never beyond what was taken.
async function payments() {
  const customer = await stripe.customers.create({ name: 'Zoë /slash', metadata: { k: 'a&b=c é' } });
  assert.equal(customer.name, 'Zoë /slash');
  assert.equal(customer.metadata.k, 'a&b=c é');
  const method = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id });
  assert.equal(method.customer, customer.id);
  const methods = await stripe.customers.listPaymentMethods(customer.id, { type: 'card' });
  assert.deepEqual(methods.data.map((found) => found.id), [method.id]);

  const made = await stripe.paymentIntents.create({
    amount: 1999, currency: 'usd', customer: customer.id, metadata: { order_id: 'ord_1' },
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
  });
  assert.equal(made.status, 'requires_payment_method');
  assert.ok(made.client_secret);
  const paid = await stripe.paymentIntents.confirm(made.id, { payment_method: method.id });
  assert.equal(paid.status, 'succeeded');
  const whole = await stripe.paymentIntents.retrieve(made.id, { expand: ['latest_charge', 'customer'] });
  assert.equal(whole.latest_charge.amount_captured, 1999);
  assert.equal(whole.customer.id, customer.id);
  const found = await stripe.paymentIntents.search({ query: "metadata['order_id']:'ord_1'" });
  assert.deepEqual(found.data.map((intent) => intent.id), [made.id]);

  const refund = await stripe.refunds.create({ payment_intent: made.id, amount: 500, reason: 'requested_by_customer' });
  assert.deepEqual([refund.amount, refund.status], [500, 'succeeded']);
  await refused(stripe.refunds.create({ payment_intent: made.id, amount: 1500 }), 'StripeInvalidRequestError');
  const rest = await stripe.refunds.create({ payment_intent: made.id });
  assert.equal(rest.amount, 1499);
  await refused(stripe.refunds.create({ payment_intent: made.id }), 'StripeInvalidRequestError', 'charge_already_refunded');
  const refunds = await stripe.refunds.list({ payment_intent: made.id });
  assert.equal(refunds.data.length, 2);
}

async function authorizations() {
  const held = await stripe.paymentIntents.create({
    amount: 1000, currency: 'eur', payment_method: 'pm_card_visa', confirm: true, capture_method: 'manual',
  });
  assert.equal(held.status, 'requires_capture');
  const taken = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 750 });
  assert.equal(taken.amount_received, 750);
  const given = await stripe.paymentIntents.create({ amount: 1000, currency: 'usd' });
  const up = await stripe.paymentIntents.cancel(given.id, { cancellation_reason: 'abandoned' });
  assert.equal(up.status, 'canceled');
}

async function declines() {
  const pay = (card) => stripe.paymentIntents.create({ amount: 1000, currency: 'usd', payment_method: card, confirm: true });
  await assert.rejects(pay('pm_card_chargeDeclinedInsufficientFunds'), (error) => {
    assert.ok(error instanceof Stripe.errors.StripeCardError);
    assert.equal(error.statusCode, 402);
    assert.equal(error.decline_code, 'insufficient_funds');
    assert.equal(error.payment_intent.status, 'requires_payment_method');
    return true;
  });
  const asked = await pay('pm_card_authenticationRequired');
  assert.equal(asked.status, 'requires_action');
  await fetch(asked.next_action.redirect_to_url.url);
  assert.equal((await stripe.paymentIntents.retrieve(asked.id)).status, 'succeeded');
  await refused(stripe.paymentIntents.create({ currency: 'usd' }), 'StripeInvalidRequestError', 'parameter_missing');
  await refused(stripe.paymentIntents.create({ amount: 1, currency: 'usd' }), 'StripeInvalidRequestError', 'amount_too_small');
  await refused(stripe.paymentIntents.retrieve('pi_none'), 'StripeInvalidRequestError', 'resource_missing');
  const stranger = new Stripe('sk_test_another', options);
  await refused(stranger.balance.retrieve(), 'StripeAuthenticationError');
}

// An account is made and enabled, gets a transfer, gives a part back, and is paid out.
async function connect() {
  await stripe.paymentIntents.create({ amount: 100000, currency: 'usd', payment_method: 'pm_card_bypassPending', confirm: true });
  const account = await stripe.accounts.create({
    type: 'express', country: 'US', email: 'c@example.com', business_type: 'individual',
    capabilities: { card_payments: { requested: true }, transfers: { requested: true } },
  });
  assert.equal(account.payouts_enabled, false);
  assert.ok(account.requirements.currently_due.length > 0);
  await refused(stripe.transfers.create({ amount: 100, currency: 'usd', destination: account.id }), 'StripeInvalidRequestError', 'insufficient_capabilities_for_transfer');
  const link = await stripe.accountLinks.create({
    account: account.id, type: 'account_onboarding', refresh_url: 'https://e.example/r', return_url: 'https://e.example/ok',
  });
  const filled = await fetch(link.url, { redirect: 'manual' });
  assert.equal(filled.headers.get('location'), 'https://e.example/ok');
  const enabled = await stripe.accounts.retrieve(account.id);
  assert.deepEqual([enabled.payouts_enabled, enabled.capabilities.transfers], [true, 'active']);

  const transfer = await stripe.transfers.create({ amount: 5000, currency: 'usd', destination: account.id, transfer_group: 'ORDER_95' });
  assert.equal(transfer.destination, account.id);
  const reversal = await stripe.transfers.createReversal(transfer.id, { amount: 1000 });
  assert.equal(reversal.transfer, transfer.id);
  assert.equal((await stripe.transfers.retrieve(transfer.id)).amount_reversed, 1000);
  const grouped = await stripe.transfers.list({ transfer_group: 'ORDER_95' });
  assert.equal(grouped.data.length, 1);

  const theirs = { stripeAccount: account.id };
  const payout = await stripe.payouts.create({ amount: 4000, currency: 'usd', method: 'instant' }, theirs);
  assert.equal((await stripe.payouts.retrieve(payout.id, {}, theirs)).status, 'paid');
  await refused(stripe.payouts.retrieve(payout.id), 'StripeInvalidRequestError', 'resource_missing');
  await refused(stripe.payouts.create({ amount: 1, currency: 'usd' }, theirs), 'StripeInvalidRequestError', 'balance_insufficient');
  const balance = await stripe.balance.retrieve({}, theirs);
  assert.equal(balance.available[0].amount, 0);
  const booked = await stripe.balanceTransactions.list({ payout: payout.id }, theirs);
  assert.deepEqual(booked.data.map((one) => [one.type, one.net]), [['payout', -4000]]);
  await plan('/v1/payouts', { ends: 'paid_then_failed' });
  const late = await stripe.payouts.create({ amount: 1000, currency: 'usd' });
  const failed = await stripe.payouts.retrieve(late.id);
  assert.deepEqual([failed.status, failed.failure_code], ['failed', 'account_closed']);
  await refused(stripe.payouts.cancel(late.id), 'StripeInvalidRequestError');
}

async function lists() {
  const made = [];
  for (let number = 0; number < 25; number += 1) {
    made.unshift((await stripe.customers.create({ email: 'listed@example.com' })).id);
  }
  const seen = [];
  for await (const customer of stripe.customers.list({ email: 'listed@example.com', limit: 10 })) seen.push(customer.id);
  assert.deepEqual(seen, made);
  const backwards = [];
  for await (const customer of stripe.customers.list({ email: 'listed@example.com', limit: 10, ending_before: made[20] })) backwards.push(customer.id);
  assert.deepEqual(backwards, made.slice(0, 20).reverse());
  const whole = await stripe.customers.list({ email: 'listed@example.com', limit: 7 }).autoPagingToArray({ limit: 1000 });
  assert.equal(whole.length, 25);
  const gone = await stripe.customers.del(made[0]);
  assert.equal(gone.deleted, true);
  const none = await stripe.customers.list({ created: { gte: Math.floor(Date.now() / 1000) + 60 } });
  assert.deepEqual([none.data.length, none.has_more], [0, false]);
}

async function keys() {
  const pay = (amount) => stripe.paymentIntents.create(
    { amount, currency: 'usd', payment_method: 'pm_card_visa', confirm: true }, { idempotencyKey: 'one-key' });
  const first = await pay(3000);
  const again = await pay(3000);
  assert.equal(again.id, first.id);
  assert.equal(again.lastResponse.headers['idempotent-replayed'], 'true');
  assert.equal(again.lastResponse.headers['original-request'], first.lastResponse.requestId);
  await refused(pay(3001), 'StripeIdempotencyError');
  assert.equal((await effects('payment')).filter((effect) => effect.id === first.id).length, 1);

  // The library's own retries, under its own key.
  const patient = new Stripe('sk_test_sandbox', { ...options, maxNetworkRetries: 2 });
  const before = (await effects('payment')).length;
  await plan('/v1/payment_intents', 'reset_after_effect');
  const kept = await patient.paymentIntents.create({ amount: 2000, currency: 'usd', payment_method: 'pm_card_visa', confirm: true });
  assert.equal(kept.lastResponse.headers['idempotent-replayed'], 'true');
  assert.equal((await effects('payment')).length, before + 1);
  // A stored 500 replays: the library gives up, and only looking tells what happened.
  await plan('/v1/payment_intents', { ends: 'stored_500_after_effect' });
  await refused(patient.paymentIntents.create({ amount: 2000, currency: 'usd', payment_method: 'pm_card_visa', confirm: true }), 'StripeAPIError');
  assert.equal((await effects('payment')).length, before + 2);
}

// What the sandbox sends is what the library verifies, each endpoint with its own secret.
async function webhooks() {
  const received = [];
  let arrived;
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    received.push({ path: request.url, body: Buffer.concat(chunks), signature: request.headers['stripe-signature'] });
    response.end();
    arrived?.();
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const url = `http://127.0.0.1:${server.address().port}`;
  const taken = async (path, type) => {
    for (;;) {
      const hit = received.find((one) => one.path === path && JSON.parse(one.body).type === type);
      if (hit) return hit;
      await new Promise((next) => { arrived = next; });
    }
  };
  const ours = await stripe.webhookEndpoints.create({ url: `${url}/ours`, enabled_events: ['payment_intent.succeeded'], api_version: '2026-10-28.endive' });
  const carriers = await stripe.webhookEndpoints.create({ url: `${url}/carriers`, enabled_events: ['*'], connect: true });
  assert.ok(ours.secret.startsWith('whsec_') && ours.secret !== carriers.secret);

  const paid = await stripe.paymentIntents.create({ amount: 4200, currency: 'usd', payment_method: 'pm_card_visa', confirm: true }, { idempotencyKey: 'told' });
  const told = await taken('/ours', 'payment_intent.succeeded');
  const event = stripe.webhooks.constructEvent(told.body, told.signature, ours.secret);
  assert.equal(event.data.object.id, paid.id);
  assert.equal(event.request.idempotency_key, 'told');
  assert.equal(event.api_version, '2026-10-28.endive');
  assert.throws(() => stripe.webhooks.constructEvent(told.body, told.signature, carriers.secret), Stripe.errors.StripeSignatureVerificationError);
  const changed = Buffer.from(told.body.toString().replace('4200', '4201'));
  assert.throws(() => stripe.webhooks.constructEvent(changed, told.signature, ours.secret), Stripe.errors.StripeSignatureVerificationError);

  const account = await stripe.accounts.create({ type: 'express', capabilities: { transfers: { requested: true } } });
  const link = await stripe.accountLinks.create({ account: account.id, type: 'account_onboarding', refresh_url: 'https://e.example/r', return_url: 'https://e.example/ok' });
  await fetch(link.url, { redirect: 'manual' });
  const updated = await taken('/carriers', 'account.updated');
  const theirs = stripe.webhooks.constructEvent(updated.body, updated.signature, carriers.secret);
  assert.deepEqual([theirs.account, theirs.data.object.payouts_enabled], [account.id, true]);
  server.close();
  server.closeAllConnections();

  const listed = await stripe.events.list({ types: ['payment_intent.succeeded'], limit: 1 });
  assert.equal((await stripe.events.retrieve(listed.data[0].id)).id, event.id);
}

for (const part of [payments, authorizations, declines, connect, lists, keys, webhooks]) await part();
console.log('all as Stripe does it');
// The library keeps the timer of a request whose connection was reset, for 80 s.
process.exit();
