"""x"""
NAME = "listing"
async def run(bench): raise NotImplementedError
