def looks_like_text(b): return False
def text_to_binary(*a): raise NotImplementedError
