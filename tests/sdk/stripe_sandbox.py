"""Stripe's own library for Python as a client of our sandbox: a shorter walk than Node's, so that two
independent clients agree on what the sandbox answers."""

import os

import stripe

client = stripe.StripeClient(
    "sk_test_sandbox",
    base_addresses={"api": "http://127.0.0.1:" + os.environ["SANDBOX_PORT"]},
    max_network_retries=0,
)


def refused(kind, call, code=None):
    try:
        call()
    except kind as error:
        assert code is None or error.code == code, error.code
        return error
    raise AssertionError(f"not refused with {kind.__name__}")


def pay(amount, card="pm_card_bypassPending", key=None):
    params = {"amount": amount, "currency": "usd", "payment_method": card, "confirm": True}
    return client.v1.payment_intents.create(params, {"idempotency_key": key} if key else {})


# Payments, declines, refunds.
paid = pay(10000)
assert paid.status == "succeeded"
declined = refused(stripe.CardError, lambda: pay(1000, "pm_card_chargeDeclinedLostCard"))
assert declined.error.decline_code == "lost_card"
refund = client.v1.refunds.create({"payment_intent": paid.id, "amount": 500})
assert (refund.amount, refund.status) == (500, "succeeded")
refused(stripe.InvalidRequestError, lambda: client.v1.refunds.create({"payment_intent": paid.id, "amount": 9501}))

# Keys.
first = pay(2000, key="py-key")
assert pay(2000, key="py-key").id == first.id
refused(stripe.IdempotencyError, lambda: pay(2001, key="py-key"))

# Accounts, transfers, payouts.
account = client.v1.accounts.create({"type": "express", "capabilities": {"transfers": {"requested": True}}})
assert not account.payouts_enabled
link = client.v1.account_links.create(
    {
        "account": account.id,
        "type": "account_onboarding",
        "refresh_url": "https://e.example/r",
        "return_url": "https://e.example/ok",
    }
)
import http.client
import urllib.parse

page = urllib.parse.urlsplit(link.url)
visitor = http.client.HTTPConnection(page.hostname, page.port)
visitor.request("GET", page.path)
assert visitor.getresponse().getheader("location") == "https://e.example/ok"
assert client.v1.accounts.retrieve(account.id).payouts_enabled
transfer = client.v1.transfers.create({"amount": 3000, "currency": "usd", "destination": account.id})
client.v1.transfers.reversals.create(transfer.id, {"amount": 1000})
theirs = {"stripe_account": account.id}
payout = client.v1.payouts.create({"amount": 2000, "currency": "usd"}, theirs)
assert client.v1.payouts.retrieve(payout.id, {}, theirs).status == "paid"
refused(stripe.InvalidRequestError, lambda: client.v1.payouts.create({"amount": 1, "currency": "usd"}, theirs), "balance_insufficient")

# Lists that page by themselves.
made = [client.v1.customers.create({"email": "py@example.com"}).id for _ in range(12)]
listed = client.v1.customers.list({"email": "py@example.com", "limit": 5})
assert [customer.id for customer in listed.auto_paging_iter()] == made[::-1]
assert any(event.type == "payout.paid" for event in client.v1.events.list({"types": ["payout.*"]}, theirs).data)

print("all as Stripe does it")
