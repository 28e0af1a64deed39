"""The auditor's own model of release plans: products, plans and their money, evidence, disputes, wage sheets."""
