/* audit_parts */
-- The parts of a revenue sum to it, and there are as many as its history says.
SELECT 'distribution ' || o.id AS "subject!",
       count(p.holder) || ' parts sum to ' || COALESCE(sum(p.amount), 0) || ', the whole is '
           || (o.request #>> '{money,amount}') || ' in ' || (h.event ->> 'parts') || ' parts, '
           || (h.event ->> 'paid') || ' of them paid' AS "detail!"
FROM operation_history h JOIN operations o ON o.id = h.operation_id
LEFT JOIN distribution_parts p ON p.distribution_id = o.id
WHERE h.event ->> 'event' = 'divided'
GROUP BY o.id, h.event
HAVING sum(p.amount) IS DISTINCT FROM (o.request #>> '{money,amount}')::numeric
    OR count(p.holder) <> (h.event ->> 'parts')::bigint OR count(p.payout_id) <> (h.event ->> 'paid')::bigint
UNION ALL
-- A payout pays its part and what was carried over to it, once.
SELECT 'part of ' || p.holder || ' in distribution ' || p.distribution_id,
       'its payout ' || p.payout_id || ' pays ' || COALESCE(o.request #>> '{money,amount}', 'nothing') || ', due are '
           || (p.amount + p.carried_in)
FROM distribution_parts p LEFT JOIN operations o ON o.id = p.payout_id AND o.kind IN ('payout', 'transfer') AND o.tenant = p.tenant
WHERE p.payout_id IS NOT NULL
  AND ((o.request #>> '{money,amount}')::numeric IS DISTINCT FROM p.amount + p.carried_in
    OR o.request #>> '{money,asset}' IS DISTINCT FROM p.unit)
UNION ALL
SELECT 'part of ' || p.holder || ' in distribution ' || p.distribution_id,
       'is called ' || CASE WHEN p.unpaid THEN 'unpaid' ELSE 'paid' END || ', its payout ' || p.payout_id || ' is ' || o.state
FROM distribution_parts p JOIN operations o ON o.id = p.payout_id
WHERE p.unpaid <> (o.state IN ('failed', 'returned'))
UNION ALL
SELECT 'payout ' || payout_id, 'pays ' || count(*) || ' parts'
FROM distribution_parts WHERE payout_id IS NOT NULL GROUP BY payout_id HAVING count(*) > 1
UNION ALL
-- What a part takes over is what earlier ones have handed over.
SELECT 'part of ' || holder || ' in distribution ' || distribution_id,
       'takes over ' || COALESCE(taken.amount, 0) || ', handed over are ' || COALESCE(handed.amount, 0)
FROM (SELECT distribution_id, holder, carried_in AS amount FROM distribution_parts) AS taken
FULL JOIN (
    SELECT carried_to AS distribution_id, holder, sum(amount + carried_in) AS amount
    FROM distribution_parts WHERE carried_to IS NOT NULL GROUP BY carried_to, holder
) AS handed USING (distribution_id, holder)
WHERE COALESCE(taken.amount, -1) <> COALESCE(handed.amount, 0)
