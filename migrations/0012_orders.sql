-- Addresses that are allotted to orders, one each and never again; and what was paid to them, as the
-- chains tell it.
SET lock_timeout = '5s';

CREATE TABLE address_counters (
    network    text PRIMARY KEY,
    next_index bigint NOT NULL
);

CREATE TABLE deposit_addresses (
    network       text NOT NULL,
    address_index bigint NOT NULL,
    address       text NOT NULL,
    address_key   text NOT NULL,
    operation_id  uuid NOT NULL UNIQUE REFERENCES operations (id),
    allotted_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (network, address_index),
    CONSTRAINT deposit_addresses_once UNIQUE (network, address_key)
);

COMMENT ON COLUMN deposit_addresses.address_index IS 'of the extended public key''s external chain';
COMMENT ON COLUMN deposit_addresses.address_key IS 'the address without what is only a checksum: lower case where the case says nothing';

CREATE TABLE deposits (
    network        text NOT NULL,
    transaction    text NOT NULL,
    place          text NOT NULL,
    address_key    text NOT NULL,
    operation_id   uuid NOT NULL REFERENCES operations (id),
    amount         numeric NOT NULL CHECK (amount > 0),
    asset          text NOT NULL,
    is_coin        boolean NOT NULL,
    block          bigint,
    status         text NOT NULL DEFAULT 'seen',
    seen_at        timestamptz NOT NULL DEFAULT now(),
    checked_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (network, transaction, place, address_key),
    CONSTRAINT deposits_status CHECK (status IN ('seen', 'final', 'gone'))
);

COMMENT ON COLUMN deposits.place IS 'of the transfer within its transaction, where it is a token''s';
COMMENT ON COLUMN deposits.is_coin IS 'whether it is of the chain''s own coin, whose outputs a look-up shows';
COMMENT ON COLUMN deposits.block IS 'NULL: in none, or not any more';
COMMENT ON COLUMN deposits.status IS 'seen: the chain may still take it back; final: told to its order; gone: it never took effect';

CREATE INDEX deposits_waiting ON deposits (network, checked_at) WHERE status = 'seen';
CREATE INDEX deposits_of ON deposits (operation_id);
