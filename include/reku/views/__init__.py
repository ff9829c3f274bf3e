"""Read models: one function per question that a person asks. Commands and pages only draw them."""
