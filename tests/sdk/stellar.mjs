// Stellar's own library for Node as the other side of our XDR, signatures and ledger: it builds what we
// must be able to read, reads what we sign, and hands transactions in at our sandbox. Bantu is a Stellar
// network under its own passphrase.
//
//   stellar.mjs build            transactions in JSON, with hash and signature, for our client to redo
//   stellar.mjs check < JSON     what our client made of them, and its request signatures
//   stellar.mjs sandbox          transactions handed in at the sandbox on SANDBOX_PORT

import assert from 'node:assert/strict';
import {
  Account, Asset, Keypair, Memo, Operation, TransactionBuilder, hash, xdr,
} from '@stellar/stellar-base';

const NETWORKS = ['Bantu Testnet ; January 2022', 'Bantu Public Network ; January 2022'];
const SEED = Buffer.alloc(32, 7);
const payer = Keypair.fromRawEd25519Seed(SEED);
const other = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 9));
const issuer = Keypair.fromRawEd25519Seed(Buffer.alloc(32, 11)).publicKey();

function payment({ sequence, amount, asset, memo, end, passphrase, from = payer }) {
  const account = new Account(from.publicKey(), String(BigInt(sequence) - 1n));
  const builder = new TransactionBuilder(account, {
    fee: '100', networkPassphrase: passphrase, timebounds: { minTime: 0, maxTime: end },
  });
  builder.addOperation(Operation.payment({ destination: other.publicKey(), asset, amount }));
  if (memo) builder.addMemo(Memo.text(memo));
  return builder.build();
}

function signed(transaction, by = payer) {
  const copy = TransactionBuilder.fromXDR(transaction.toXDR(), transaction.networkPassphrase);
  copy.sign(by);
  return copy;
}

// Every kind of asset, amounts at both ends, memos up to their 28 bytes, both networks.
function build() {
  const assets = [Asset.native(), new Asset('A', issuer), new Asset('SOLR', issuer), new Asset('SOLAR', issuer), new Asset('TWELVELETTER', issuer)];
  const amounts = ['0.0000001', '10.5', '922337203685.4775807', '1', '1234567.0000001'];
  const memos = [undefined, 'inv-1', 'é'.repeat(14), 'x'.repeat(28)];
  const made = [];
  for (const passphrase of NETWORKS) {
    for (const asset of assets) {
      for (const amount of amounts) {
        const memo = memos[made.length % memos.length];
        const transaction = payment({ sequence: made.length + 1, amount, asset, memo, end: 1_760_003_600, passphrase });
        const whole = signed(transaction);
        made.push({
          passphrase, amount, memo: memo ?? null, source: payer.publicKey(), destination: other.publicKey(),
          asset: asset.isNative() ? null : { code: asset.getCode(), issuer: asset.getIssuer() },
          unsigned: transaction.toXDR(), hash: transaction.hash().toString('hex'),
          signature: whole.signatures[0].signature().toString('base64'), signed: whole.toXDR(),
        });
      }
    }
  }
  console.log(JSON.stringify(made));
}

async function check() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const { payments, requests } = JSON.parse(Buffer.concat(chunks));
  assert.ok(payments.length > 40 && requests.length > 0);
  for (const { passphrase, amount, memo, envelope, hash: claimed, signature } of payments) {
    const read = TransactionBuilder.fromXDR(envelope, passphrase);
    assert.equal(read.hash().toString('hex'), claimed);
    assert.equal(read.signatures.length, 1);
    assert.equal(read.signatures[0].signature().toString('base64'), signature);
    assert.deepEqual(read.signatures[0].hint(), payer.signatureHint());
    assert.ok(payer.verify(read.hash(), read.signatures[0].signature()));
    assert.ok(!other.verify(read.hash(), read.signatures[0].signature()));
    const elsewhere = TransactionBuilder.fromXDR(envelope, NETWORKS.find((one) => one !== passphrase));
    assert.ok(!payer.verify(elsewhere.hash(), read.signatures[0].signature()), 'good on one network only');
    assert.deepEqual([read.source, read.operations.length, read.operations[0].type], [payer.publicKey(), 1, 'payment']);
    assert.equal(read.operations[0].destination, other.publicKey());
    assert.equal(read.operations[0].amount, seven(amount));
    assert.equal(read.memo.value?.toString() ?? null, memo);
  }
  for (const { text, signature } of requests) {
    assert.ok(payer.verify(Buffer.from(text), Buffer.from(signature, 'base64')));
    assert.equal(payer.sign(Buffer.from(text)).toString('base64'), signature);
  }
  console.log('all as Stellar does it');
}

// Stellar writes all of its seven decimals.
function seven(amount) {
  const [whole, part = ''] = amount.split('.');
  return `${whole}.${part.padEnd(7, '0')}`;
}

const ledger = `http://127.0.0.1:${process.env.SANDBOX_PORT}`;

async function submit(transaction) {
  const body = new URLSearchParams({ tx: transaction.toXDR() });
  const answer = await fetch(`${ledger}/transactions`, { method: 'POST', body });
  return { status: answer.status, body: await answer.json() };
}

async function sandbox() {
  const root = await (await fetch(`${ledger}/`)).json();
  const passphrase = root.network_passphrase;
  assert.deepEqual(hash(Buffer.from(passphrase)), hash(Buffer.from(NETWORKS[0])));
  const end = Math.floor(Date.now() / 1000) + 300;
  const ask = (sequence, more = {}) => payment({ sequence, amount: '10.5', asset: Asset.native(), memo: 'inv-1', end, passphrase, ...more });
  const made = [];
  for (let sequence = 1; sequence <= 12; sequence += 1) {
    const asset = sequence % 2 ? Asset.native() : new Asset('SOLAR', issuer);
    const transaction = signed(ask(sequence, { asset }));
    const taken = await submit(transaction);
    assert.deepEqual([taken.status, taken.body.successful], [200, true]);
    assert.equal(taken.body.hash, transaction.hash().toString('hex'), 'the hash was known before');
    made.push(transaction);
  }
  const again = await submit(made[0]);
  assert.deepEqual([again.status, again.body.hash], [200, made[0].hash().toString('hex')]);

  const refused = async (transaction, code) => {
    const { status, body } = await submit(transaction);
    assert.deepEqual([status, body.extras.result_codes.transaction], [400, code]);
  };
  await refused(ask(20), 'tx_bad_auth');
  await refused(signed(ask(20), other), 'tx_bad_auth');
  await refused(signed(ask(20, { passphrase: NETWORKS[1] })), 'tx_bad_auth');
  await refused(signed(ask(20, { end: 1 })), 'tx_too_late');
  await refused(signed(ask(12)), 'tx_bad_seq');
  const changed = xdr.TransactionEnvelope.fromXDR(signed(ask(20)).toXDR(), 'base64');
  changed.v1().tx().fee(101);
  await refused({ toXDR: () => changed.toXDR('base64') }, 'tx_bad_auth');

  // What the sandbox serves is what was handed in, envelope and all.
  for (const transaction of made) {
    const shown = await (await fetch(`${ledger}/transactions/${transaction.hash().toString('hex')}`)).json();
    const read = TransactionBuilder.fromXDR(shown.envelope_xdr, passphrase);
    assert.deepEqual(read.hash(), transaction.hash());
    assert.ok(payer.verify(read.hash(), read.signatures[0].signature()));
    assert.deepEqual([shown.source_account, shown.source_account_sequence], [read.source, read.sequence]);
  }
  const page = async (query) => {
    const url = `${ledger}/accounts/${payer.publicKey()}/transactions?${query}`;
    return (await (await fetch(url)).json())._embedded.records;
  };
  const first = await page('limit=5&order=asc');
  const second = await page(`limit=200&order=asc&cursor=${first[4].paging_token}`);
  const hashes = [...first, ...second].map((record) => record.hash);
  assert.deepEqual(hashes, made.map((transaction) => transaction.hash().toString('hex')));
  const newest = await page('limit=1&order=desc');
  assert.equal(newest[0].hash, hashes.at(-1));
  console.log('all as Stellar does it');
}

await { build, check, sandbox }[process.argv[2]]();
