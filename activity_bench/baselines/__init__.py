"""Methods that learn nothing by gradient. numpy only; each is a class that `types.Method` describes."""
