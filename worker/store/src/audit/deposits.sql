/* audit_deposits */
-- Each transfer that is final is posted to its order, or waits in the order's inbox; and nothing is
-- posted that is not final. The names are those of payfleet-worker's look at a chain.
WITH final AS (
    SELECT operation_id, network, amount, asset AS unit,
           transaction || CASE WHEN place = '' THEN '' ELSE ':' || place END AS name
    FROM deposits WHERE status = 'final'
), posted AS (
    SELECT m.operation_id, substr(m.event, length('deposited:') + 1) AS name, p.amount, p.unit
    FROM movements m JOIN postings p ON p.movement_id = m.id AND p.amount > 0
    WHERE m.event LIKE 'deposited:%'
)
SELECT 'deposit ' || name || ' to order ' || operation_id AS "subject!",
       COALESCE(posted.amount || ' ' || posted.unit, 'nothing') || ' is posted, '
           || COALESCE(final.amount || ' ' || final.unit, 'nothing') || ' is final' AS "detail!"
FROM final FULL JOIN posted USING (operation_id, name)
WHERE (posted.amount IS DISTINCT FROM final.amount OR posted.unit IS DISTINCT FROM final.unit)
  AND NOT (posted.amount IS NULL AND EXISTS (
      SELECT 1 FROM inbox i WHERE i.operation_id = final.operation_id AND i.applied_at IS NULL
        AND i.event_key = 'deposited:' || final.network || ':' || name
  ))
