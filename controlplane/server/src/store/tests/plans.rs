//! Whether each statement has an index for what it looks for.

use sqlx::Row as _;

use super::*;
use crate::store::{callbacks, callers, database, feed, period, prune};

/// What SQLite would do for a statement.
async fn plan(connection: &mut sqlx::AnyConnection, statement: &str) -> Vec<String> {
    let asked = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(asked).fetch_all(connection).await.expect("a plan");
    rows.iter().map(|row| row.try_get(3).expect("a text")).collect()
}

#[tokio::test]
async fn no_statement_reads_a_whole_table_or_sorts_what_it_found() {
    let home = Home::sqlite();
    let mut connection = home.open().await.connect().await.expect("a connection");
    for statement in database::STATEMENTS
        .iter()
        .chain(&prune::STATEMENTS)
        .chain(&feed::STATEMENTS)
        .chain(&period::STATEMENTS)
        .chain(&callers::STATEMENTS)
        .chain(&callbacks::STATEMENTS)
    {
        let plan = plan(&mut connection, statement).await;
        for step in &plan {
            // A scan in the order of an index ends with the first rows that are wanted.
            let whole =
                step.starts_with("SCAN") && !step.contains("USING INDEX") && !step.contains("USING COVERING INDEX");
            assert!(!whole, "{statement}\n{plan:#?}");
        }
        // What one instance has open is little, and bounded by its calls.
        if !database::SORTED.contains(statement) {
            assert!(
                !plan.iter().any(|step| step.contains("TEMP B-TREE")),
                "{statement}\n{plan:#?}"
            );
        }
    }
}
