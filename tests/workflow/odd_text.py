"""A title that a schema allows, made of what a shell, Snakemake, a browser and LaTeX live on."""

ODD = (
    "'; touch pwned; ' $(touch pwned) `touch pwned` {params} {{ }} \"q\" <script>alert(1)</script> "
    r"| 50% \input{x} & a_b $\frac$ # ~ ^ \n é"
)
