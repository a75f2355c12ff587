"""A title that a schema allows, made of what a shell, Snakemake, a browser and LaTeX live on."""

ODD = (
    "'; touch pwned; ' $(touch pwned) `touch pwned` {params} {{ }} \"q\" "
    r"</script><script>alert(1)</script> | 50% \input{x} & a_b $\frac$ # ~ ^ \n é"
)
