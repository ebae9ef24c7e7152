from simulator.kernel.versions.v6_7 import V6_7


class SkipFlushOfNothing(V6_7):
    name = "v6.7+skip"
    subject = "hugetlb: no flush where nothing was split"
    commit = ""
    summary = "the first flush only if a PMD was split"

    def split_folios(k, h, folio_list):
        before = len(k.split_pmds)
        for folio in folio_list:
            if k.hugetlb_vmemmap_split_folio(h, folio):
                break
        if len(k.split_pmds) > before:
            k.flush_tlb_all("batch_split")
