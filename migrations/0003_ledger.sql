-- Double entry. A movement sums to zero per unit (checked at commit), exists once per (operation,
-- event), and neither it nor its postings are ever changed.
SET lock_timeout = '5s';

CREATE TABLE movements (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation_id uuid NOT NULL REFERENCES operations (id),
    event        text NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT movements_once UNIQUE (operation_id, event)
);

CREATE TABLE postings (
    movement_id bigint NOT NULL REFERENCES movements (id),
    line        integer NOT NULL,
    account     text NOT NULL,
    unit        text NOT NULL,
    amount      numeric NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (movement_id, line)
);

COMMENT ON COLUMN postings.unit IS 'code of an asset, or share:ASSET for percent of an asset';
COMMENT ON COLUMN postings.amount IS 'positive: the account receives';

CREATE INDEX postings_account ON postings (account, unit);

CREATE FUNCTION movement_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM postings WHERE movement_id = NEW.movement_id GROUP BY unit HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'movement % does not balance', NEW.movement_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER postings_balance AFTER INSERT ON postings
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION movement_balances();

CREATE TRIGGER movements_append_only BEFORE UPDATE OR DELETE ON movements
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER postings_append_only BEFORE UPDATE OR DELETE ON postings
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER movements_no_truncate BEFORE TRUNCATE ON movements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER postings_no_truncate BEFORE TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
