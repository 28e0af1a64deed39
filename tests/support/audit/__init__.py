"""The independent auditor's models: money, holdings, invoices, entitlement, lifecycles. None of the kernel's code."""
